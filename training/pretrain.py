"""Make a small base model, from nothing (recipe: recipes/lte-tiny-base.yaml).

A byte-level BPE tokenizer and a Llama of a few million parameters that begins
with an induction circuit (see `pretraining.induction`), trained in stages: copying
spans of random tokens, then questions about passages and true facts. It never sees
the knowledge-editing prompt: that is for the alignment phase. Only answers bear
loss. The exponential average of the weights that does best on held-out wordings
and subjects is what comes out.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lte_chains.training.pretraining.batches import IGNORED, Batches
from lte_chains.training.pretraining.induction import write_induction_circuit
from lte_chains.training.pretraining.material import (
    Material,
    Recipe,
    Stage,
    read_material,
    read_recipe,
)
from lte_chains.training.pretraining.names import Names
from lte_chains.training.pretraining.phrasing import Phrasing
from lte_chains.training.pretraining.rows import (
    Row,
    RowMaker,
)
from lte_chains.training.pretraining.tokenizer import train_tokenizer
from lte_chains.training.pretraining.wording import Wording

logger = logging.getLogger(__name__)

_LOG_EVERY = 50


def loss_of(
    body: Any, head: torch.nn.Linear, inputs: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the mean answer loss, the argmax at each answer token, and the gold tokens."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = body(input_ids=inputs, use_cache=False).last_hidden_state
        borne = labels[:, 1:] != IGNORED
        logits = head(hidden[:, :-1][borne]).float()
    gold = labels[:, 1:][borne]
    return torch.nn.functional.cross_entropy(logits, gold), logits.argmax(-1), gold


def exact_match(model: LlamaForCausalLM, batches: Batches, rows: list[Row]) -> dict[str, float]:
    """Return, by kind of row, how often every token of the answer and its end is the argmax."""
    right: dict[str, list[bool]] = {}
    ordered = sorted(((row.kind, batches.encode(row)) for row in rows), key=lambda p: len(p[1][0]))
    with torch.inference_mode():
        for start in range(0, len(ordered), 64):
            part = ordered[start : start + 64]
            inputs, labels = batches.pad([e for _, e in part], max(len(e[0]) for _, e in part))
            _, argmax, gold = loss_of(model.model, model.lm_head, inputs, labels)
            sizes = [len(tokens) - begin for _, (tokens, begin) in part]
            for (kind, _), hit in zip(part, (argmax == gold).split(sizes), strict=True):
                right.setdefault(kind, []).append(bool(hit.all()))
    return {kind: sum(hits) / len(hits) for kind, hits in sorted(right.items())}


def dev_rows(material: Material, seed: int) -> list[Row]:
    """Make rows with wordings and real subjects that are never trained on."""
    rng = random.Random(seed)
    maker = _row_maker(material, material.dev, rng)
    return [maker.kinds[kind]() for kind in maker.kinds if "pseudo" not in kind for _ in range(200)]


def _row_maker(material: Material, wordings: Sequence[Wording], rng: random.Random) -> RowMaker:
    phrasing = Phrasing(Names(material.corpus, rng), wordings, rng)
    return RowMaker(phrasing, material.facts, material.fact_forms, rng)


class Trainer:
    """The training loop: stages, averaged weights, checkpoints, the best on dev rows."""

    def __init__(self, recipe: Recipe, data: Path, out: Path) -> None:
        """Prepare everything under `out`; an unfinished run there is taken up again."""
        torch.manual_seed(recipe.seed)
        self._recipe, self._out = recipe, out
        out.mkdir(parents=True, exist_ok=True)
        self._material = read_material(recipe, data)
        source = data / recipe.init_from if recipe.init_from else None
        self.tokenizer = (
            PreTrainedTokenizerFast.from_pretrained(source)
            if source
            else train_tokenizer(self._material.corpus, recipe.model["vocab_size"])
        )
        self.model = self._new_model(source)
        self._average = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=recipe.optimizer["lr"],
            betas=(0.9, 0.98),
            weight_decay=recipe.optimizer["weight_decay"],
            fused=True,
        )
        self._dev = dev_rows(self._material, recipe.seed + 1)
        self._step, self._best = 0, -1.0
        self._resume()

    def run(self) -> None:
        """Train to the end of the recipe; log to `log.jsonl`, keep the best in `best/`."""
        body: Any = self.model.model
        if self._recipe.compile:
            # Every shape of batch is compiled once; past the limit the rest would run uncompiled.
            torch._dynamo.config.recompile_limit = 64
            body = torch.compile(body, dynamic=False)
        end = 0
        for stage in self._recipe.stages:
            end += stage.steps
            if self._step < end:
                self._run_stage(stage, end, body)

    def _run_stage(self, stage: Stage, end: int, body: Any) -> None:
        rng = random.Random(f"{self._recipe.seed}:{self._step}")
        material = self._material
        maker = _row_maker(material, material.train, rng)
        batches = Batches(self.tokenizer, maker, rng, stage.tokens_per_batch)
        losses: list[float] = []
        began = time.monotonic()
        for inputs, labels in batches.stream(stage.mix):
            losses.append(self._one_step(body, inputs, labels))
            if self._step % _LOG_EVERY == 0:
                rate = (time.monotonic() - began) / len(losses)
                self._log(step=self._step, loss=sum(losses[-50:]) / 50, seconds_a_step=rate)
            if self._step % 500 == 0 or self._step == end:
                self._evaluate_and_save(batches)
            if self._step >= end:
                return

    def _one_step(self, body: Any, inputs: torch.Tensor, labels: torch.Tensor) -> float:
        loss, _, _ = loss_of(body, self.model.lm_head, inputs, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._step += 1
        decay = min(self._recipe.optimizer["ema_decay"], self._step / (self._step + 10))
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                self._average[name].lerp_(parameter, 1 - decay)
        return float(loss.detach())

    def _learning_rate(self) -> float:
        """Warm up linearly, then fall along a cosine to a twentieth."""
        settings = self._recipe.optimizer
        if self._step < settings["warmup_steps"]:
            return settings["lr"] * (self._step + 1) / settings["warmup_steps"]
        done = (self._step - settings["warmup_steps"]) / max(
            1, self._recipe.steps - settings["warmup_steps"]
        )
        return settings["lr"] * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def _new_model(self, source: Path | None) -> LlamaForCausalLM:
        if source is not None:
            return LlamaForCausalLM.from_pretrained(
                source, dtype=torch.float32, attn_implementation="eager"
            )
        sizes: dict[str, Any] = dict(self._recipe.model)
        sizes["vocab_size"] = len(self.tokenizer)
        config = LlamaConfig(
            **sizes,
            num_key_value_heads=sizes["num_attention_heads"],
            tie_word_embeddings=True,
            pad_token_id=self.tokenizer.pad_token_id,
            eos_token_id=self.tokenizer.eos_token_id,
            bos_token_id=None,
        )
        # Compiled for two cores, plain attention trains faster than the fused kernel.
        model = LlamaForCausalLM(config)
        model.set_attn_implementation("eager")
        write_induction_circuit(model, seed=self._recipe.seed)
        return model

    def _evaluate_and_save(self, batches: Batches) -> None:
        current = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        self._load(self._average)
        self.model.eval()
        scores = exact_match(self.model, batches, self._dev)
        mean = sum(scores.values()) / len(scores)
        self._log(step=self._step, dev=scores, mean=mean)
        if mean > self._best:
            self._best = mean
            save_model(self.model, self.tokenizer, self._out / "best")
        self._load(current)
        self.model.train()
        save_file(current, self._out / "weights.safetensors")
        save_file(self._average, self._out / "average.safetensors")
        save_file(self._optimizer_state(), self._out / "optimizer.safetensors")
        state = {"step": self._step, "best": self._best}
        (self._out / "state.json").write_text(json.dumps(state), encoding="utf-8")

    def _load(self, weights: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(weights[name])

    def _optimizer_state(self) -> dict[str, torch.Tensor]:
        return {
            f"{place}.{key}": torch.as_tensor(value).clone()
            for place, entry in self._optimizer.state_dict()["state"].items()
            for key, value in entry.items()
        }

    def _resume(self) -> None:
        marker = self._out / "state.json"
        if not marker.exists():
            return
        state = json.loads(marker.read_text(encoding="utf-8"))
        self._step, self._best = state["step"], state["best"]
        self._load(load_file(self._out / "weights.safetensors"))
        self._average = load_file(self._out / "average.safetensors")
        whole = self._optimizer.state_dict()
        for name, value in load_file(self._out / "optimizer.safetensors").items():
            place, key = name.split(".")
            whole["state"].setdefault(int(place), {})[key] = value
        self._optimizer.load_state_dict(whole)
        logger.info("taken up again at step %d", self._step)

    def _log(self, **values: Any) -> None:
        logger.info("%s", json.dumps(values))
        with (self._out / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


def save_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save the weights in bfloat16 with the tokenizer and a greedy generation configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.bfloat16()
    copy.generation_config.do_sample = False
    copy.generation_config.eos_token_id = tokenizer.eos_token_id
    copy.generation_config.pad_token_id = tokenizer.pad_token_id
    copy.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    """Run a recipe from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    Trainer(read_recipe(arguments.recipe), arguments.data, arguments.out).run()


if __name__ == "__main__":
    main()
