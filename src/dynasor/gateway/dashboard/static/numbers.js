// Numbers as people read them.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const NONE = "–";

export const whole = (number) => WHOLE.format(number);

export const short = (number) => (Math.abs(number) < 10000 ? WHOLE.format(number) : SHORT.format(number));

export const share = (part, all) => (all > 0 ? `${((100 * part) / all).toFixed(1)} %` : NONE);

export const reading = (certaindex) => certaindex.toFixed(2);

export const plural = (count, one, more = `${one}s`) => `${whole(count)} ${count === 1 ? one : more}`;

export function seconds(duration) {
  if (duration < 0.0995) return `${Math.round(1000 * duration)} ms`;
  if (duration < 9.95) return `${duration.toFixed(1)} s`;
  if (duration < 120) return `${Math.round(duration)} s`;
  if (duration < 7200) return `${Math.round(duration / 60)} min`;
  return `${Math.round(duration / 3600)} h`;
}

// Tokens saved of one program, as a share of what even allocation would have taken.
export function saved(program) {
  if (program.saved_tokens === null || program.state !== "finished") return NONE;
  return share(program.saved_tokens, program.tokens + program.saved_tokens);
}
