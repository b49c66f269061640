from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
folders = pytest.importorskip("training.model_folder")
policies = pytest.importorskip("training.policy")
data = pytest.importorskip("training.data")
evaluation = pytest.importorskip("training.evaluate_reward")
reward_batches = pytest.importorskip("training.reward_batches")
reward_data = pytest.importorskip("training.reward_data")
tasks = pytest.importorskip("training.reward_task")
tokenizing = pytest.importorskip("training.tokenizer")
trainer = pytest.importorskip("training.trainer")

pytestmark = pytest.mark.slow
SMALL = {"width": 64, "layers": 2, "heads": 2, "kv_heads": 1, "hidden": 128}


@pytest.fixture(scope="module")
def policy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("policy")
    data.make(out / "data", 60_000, seed=1)
    words = tokenizing.load(out / "data" / "tokenizer")
    torch.manual_seed(0)
    policy = policies.Policy(policies.Shape(vocabulary=words.get_vocab_size(), **SMALL))
    folders.save(policy, out / "data" / "tokenizer", out / "model", end_token=words.token_to_id("<|end|>"), pad_token=0)
    return out / "model"


@pytest.fixture(scope="module")
def settings(policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("reward")
    words = tokenizing.load(policy_folder)
    for name, seed in (("made", 1), ("sampled", 2)):
        reward_data.write(out / name, words, reward_data.made_groups(seed), 60_000)
    return trainer.Settings(
        data=out, out=out, minutes=1.0, processes=1, eager=True, tokens_per_batch=600, start=policy_folder
    )


def test_rows_are_labelled_up_to_the_first_wrong_token(settings: Any, policy_folder: Path) -> None:
    words = tokenizing.load(policy_folder)
    batches = tasks.RewardTask(settings).sections["made"]
    for index in range(10):
        batch = batches.batch(index, 0)
        for row in range(0, len(batch.ids), reward_data.GROUP):
            group = slice(row, row + reward_data.GROUP)
            assert batch.right[group].sum() == 1, "the known solution beside three wrong ones"
            texts = [
                words.decode(batch.ids[place, : batch.last[place] + 1].tolist(), skip_special_tokens=False)
                for place in range(row, row + reward_data.GROUP)
            ]
            assert len({text.split("Solution:")[0] for text in texts}) == 1
            (good,) = (text for text, right in zip(texts, batch.right[group], strict=True) if right)
            for place, text in zip(range(row, row + reward_data.GROUP), texts, strict=True):
                assert text.endswith(tokenizing.END)
                count = int(batch.labels[place, : batch.last[place] + 1].sum())
                shared = words.decode(batch.ids[place, :count].tolist(), skip_special_tokens=False)
                assert good.startswith(shared) or batch.right[place]
                assert not batch.weights[place, batch.last[place] + 1 :].any()


def test_training_learns_to_rank_and_the_saved_classifier_scores_alike(settings: Any, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    training = trainer.Training(replace(settings, adam_rate=1e-2), 0, tasks.RewardTask(settings))
    losses = []
    for step in range(60):
        loss, training.spent_s = training.step(step)
        losses.append(loss)
    assert losses[0] == pytest.approx(0.693, abs=0.02)
    assert sum(losses[-10:]) / 10 < 0.68
    folders.save(training.task.model.kept(), settings.start, tmp_path, end_token=1, pad_token=0)
    ours = folders.load(tmp_path)
    assert isinstance(ours, policies.RewardModel)
    theirs = transformers.LlamaForSequenceClassification.from_pretrained(str(tmp_path), dtype=torch.float32)
    ids = torch.randint(1, 900, (3, 40), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits[:, 0], ours.rewards(ids)[:, -1], atol=1e-4, rtol=1e-4)
    texts = [row.tolist()[: 10 + 5 * place] for place, row in enumerate(ids)]
    with torch.no_grad():
        alone = [float(ours.rewards(torch.tensor([text]))[0, -1]) for text in texts]
    assert evaluation.scores(ours, texts) == pytest.approx(alone, abs=1e-5)


def test_the_first_layer_above_begins_by_looking_at_the_token_before(settings: Any) -> None:
    task = tasks.RewardTask(settings)
    model, batch = task.model, task.sections["made"].batch(0, 0)
    length = batch.ids.shape[1]
    with torch.no_grad():
        below = model.through(model.model.blocks[: model.policy_layers], model.model.embed_tokens(batch.ids))
        block = model.model.blocks[model.policy_layers]
        seen = block.input_layernorm(below)
        queries, keys, _ = block.self_attn.projected(seen, model.cos[:length], model.sin[:length])
    logits = queries[:, 0] @ keys[:, 0].transpose(1, 2) / model.shape.head_width**0.5
    looks = logits.masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf).softmax(-1)
    before = looks.diagonal(-1, 1, 2)[batch.real[:, 1:]]
    assert before.mean() > 0.95
