// Server-sent events of an answer to fetch, which, unlike EventSource, sends a key in a header.

const EDGE = /\r\n\r\n|\n\n|\r\r/;
const LONGEST = 1 << 23; // characters of one event

export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      held += value;
      for (let edge = EDGE.exec(held); edge !== null; edge = EDGE.exec(held)) {
        const event = read(held.slice(0, edge.index));
        held = held.slice(edge.index + edge[0].length);
        if (event !== null) yield event;
      }
      if (held.length > LONGEST) throw new Error("an event is too long");
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function read(block) {
  let name = "message";
  const lines = [];
  for (const line of block.split(/\r\n|\n|\r/)) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) lines.push(line.slice(line[5] === " " ? 6 : 5));
  }
  return lines.length ? { name, text: lines.join("\n") } : null;
}

// What an answer that is none says is wrong.
export async function fault(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `the gateway answered ${response.status}`;
  }
}
