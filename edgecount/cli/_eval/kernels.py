"""The option of the Gaussian kernels of a true density map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgecount.cli._types.options import ParsedType

if TYPE_CHECKING:
    from edgecount.train.targets.kernels import Kernels


class KernelsType(ParsedType):
    """Kernels as keys and values: beta=1,neighbours=3,max_sigma=0."""

    name, argument = "KEY=VALUE,...", "kernels"

    def parse(self, text: str) -> Kernels:
        """Return the kernels of a text; what it leaves out has its default."""
        from edgecount._typed import build
        from edgecount.cli._shell.extras import needs_train
        from edgecount.errors import ConfigError

        with needs_train("to draw density maps"):
            from edgecount.train.targets.kernels import Kernels
        values = {}
        for part in text.split(","):
            key, separator, number = (piece.strip() for piece in part.partition("="))
            if not separator:
                raise ConfigError(f"kernels: expected KEY=VALUE, got {part!r}")
            values[key] = _number(key, number)
        others = [key for key in values if key != "sigma"]
        if values.get("sigma") and others:
            raise ConfigError(
                "kernels: sigma makes all kernels alike, and the others are of adaptive ones: "
                f"expected it alone, got {', '.join(others)} too"
            )
        return build(Kernels, values)


def _number(key: str, text: str) -> float:
    from edgecount.errors import ConfigError

    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        raise ConfigError(f"kernels: {key}: expected a number, got {text!r}") from None


kernels_option = click.option(
    "--kernels",
    type=KernelsType(),
    help="Gaussian kernels of the true density map that SSIM, PSNR and false recognition are "
    "relative to: sigma=PX, or beta, neighbours and max_sigma (0: no limit) of adaptive ones.  "
    "[default: those that the model was trained on, else beta=0.3,neighbours=3,max_sigma=25]",
)
