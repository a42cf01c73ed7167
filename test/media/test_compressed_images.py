# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A compressed image gives the picture, whatever its color model; no bytes cost more than the picture is worth."""

import io
import struct
import subprocess
import sys
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from videollm_ros.media.compressed import MAX_PIXELS, MAX_SCANS
from videollm_ros.media.images import ImageError, to_rgb

H, W = 48, 64


@pytest.fixture(scope="module")
def picture():
    """A smooth RGB picture [H, W, 3]."""
    x, y = np.meshgrid(np.linspace(20, 230, W), np.linspace(20, 230, H))
    return np.stack([x, y, 250 - x], axis=-1).astype(np.uint8)


def compressed(data, format="any"):
    return SimpleNamespace(format=format, data=data)


def saved(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("PNG", {"compress_level": 0}, 0),
        ("JPEG", {"quality": 95}, 16),
        ("JPEG", {"quality": 95, "progressive": True}, 16),
    ],
)
def test_a_compressed_image_gives_the_picture(picture, format, options, tolerance):
    rgb = to_rgb(compressed(saved(Image.fromarray(picture), format, **options)))
    assert rgb.shape == (H, W, 3) and rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - picture).max() <= tolerance


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK"])
def test_every_color_model_becomes_rgb(picture, mode):
    image = Image.fromarray(picture).convert(mode)
    rgb = to_rgb(compressed(saved(image, "JPEG" if mode == "CMYK" else "PNG")))
    assert np.abs(rgb.astype(int) - np.asarray(image.convert("RGB"))).max() <= (12 if mode == "CMYK" else 0)


def test_a_png_of_16_bits_is_scaled_not_cut(picture):
    deep = picture[..., 1].astype(np.uint16) * 257
    rgb = to_rgb(compressed(cv2.imencode(".png", deep)[1].tobytes()))
    assert np.array_equal(rgb, np.repeat(picture[..., 1:2], 3, axis=-1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_exif_orientation_is_applied_as_opencv_does(picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(picture), "JPEG", exif=exif)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(to_rgb(compressed(data)), expected)


@pytest.mark.parametrize("shape", [(70_000, 4, 3), (4, 70_000, 3), (513, 1023, 3)])
def test_a_picture_of_several_strips_is_whole(shape):
    large = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert np.array_equal(to_rgb(compressed(saved(Image.fromarray(large), "PNG"))), large)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_is_decoded_only_where_it_is_allowed(picture, mode):
    data = saved(Image.fromarray(picture).convert(mode), "WEBP", lossless=True)
    with pytest.raises(ImageError, match="cannot be decoded as one of JPEG, PNG"):
        to_rgb(compressed(data))
    assert np.array_equal(to_rgb(compressed(data), formats="jpeg_png_webp"), picture)


@pytest.mark.parametrize("format", ["GIF", "TIFF", "PPM", "BMP"])
def test_a_format_that_nothing_allows_is_refused(picture, format):
    with pytest.raises(ImageError, match="cannot be decoded"):
        to_rgb(compressed(saved(Image.fromarray(picture), format)), formats="jpeg_png_webp")


@pytest.mark.parametrize("data", [b"", b"not an image", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_no_image_are_refused(data):
    with pytest.raises(ImageError, match=f"of format 'jpeg' with {len(data)} bytes cannot be decoded"):
        to_rgb(compressed(data, "jpeg"))


def test_half_an_image_is_refused(picture):
    for format in ("JPEG", "PNG"):
        data = saved(Image.fromarray(picture), format)
        with pytest.raises(ImageError, match="cannot be decoded"):
            to_rgb(compressed(data[: len(data) // 2]))


# Bytes that claim more than they hold.


def chunk(kind, body, length=None, crc=None):
    length = len(body) if length is None else length
    crc = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", length) + kind + body + struct.pack(">I", crc)


def png(width, height, *chunks):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks)


def jpeg(width, height, scans=1, sof=b"\xff\xc0"):
    """The head of a JPEG of these sides, and so many empty scans."""
    data = bytearray(saved(Image.new("RGB", (16, 16)), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame : frame + 2] = sof
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data[:-2]) + b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00" * (scans - 1) + b"\xff\xd9"


def one_component(data):
    """Let the one scan of a JPEG have one component: a decoder waits for others, and keeps all coefficients."""
    at = data.index(b"\xff\xda")
    return data[:at] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + data[at + 14 :]


def webp(width, height):
    body = (
        b"VP8X"
        + struct.pack("<I", 10)
        + bytes(4)
        + struct.pack("<I", width - 1)[:3]
        + struct.pack("<I", height - 1)[:3]
    )
    frame = saved(Image.new("RGB", (16, 16)), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", 4 + len(body) + len(frame)) + b"WEBP" + body + frame


ZEROS = zlib.compress(bytes(2**28), 1)
BOMBS = {
    "IDAT of 4 GiB": png(96, 96, chunk(b"IDAT", b"xxxx", length=0xFFFFFFF0)),
    "IDAT of 2 GiB": png(96, 96, chunk(b"IDAT", b"xxxx", length=0x7FFFFFFF)),
    "tEXt of 4 GiB": png(96, 96, chunk(b"tEXt", b"xxxx", length=0xFFFFFFF0)),
    "zTXt that unpacks to 256 MiB": png(96, 96, chunk(b"zTXt", b"a\0\0" + ZEROS)),
    "iCCP that unpacks to 256 MiB": png(96, 96, chunk(b"iCCP", b"a\0\0" + ZEROS)),
    "PNG of the largest size without pixels": png(4096, 3072, chunk(b"IDAT", zlib.compress(b""))),
    "PNG of 4 gigapixels": png(2**31 - 1, 2, chunk(b"IDAT", zlib.compress(b""))),
    "JPEG of 4 gigapixels": jpeg(65535, 65535),
    "progressive JPEG of 12 megapixels": jpeg(4096, 3072, sof=b"\xff\xc2"),
    "JPEG of 12 megapixels in two scans": jpeg(4096, 3072, scans=2),
    "JPEG of 12 megapixels whose first scan has one component": one_component(jpeg(4096, 3072)),
    "WebP of 268 megapixels": webp(16383, 16383),
    "JPEG of very many scans": jpeg(2048, 2048, scans=MAX_SCANS + 1),
}

DECODE = """
import sys
from types import SimpleNamespace
from videollm_ros.media.images import ImageError, to_rgb

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

data = sys.stdin.buffer.read()
warm = SimpleNamespace(format="", data=b"no image at all")  # Pillow has loaded all its plugins after this one
for message in (warm, SimpleNamespace(format="", data=data)):
    before, size = peak(), 0
    try:
        size = to_rgb(message, "jpeg_png_webp").nbytes >> 10
    except ImageError as error:
        print(error)
print(peak() - before - size)
"""


def decode(data):
    """(what is refused with, KiB beyond the picture at the peak, stderr) of a process of its own."""
    run = subprocess.run([sys.executable, "-c", DECODE], input=data, capture_output=True, timeout=120, check=True)
    *sentences, kilobytes = run.stdout.decode().splitlines()
    return sentences[1:], int(kilobytes), run.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_with_a_sentence_in_less_than_64_mib_and_nothing_on_stderr(bomb):
    sentences, kilobytes, stderr = decode(BOMBS[bomb])
    assert len(sentences) == 1 and len(sentences[0]) < 700
    assert kilobytes < 64 * 1024
    assert stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "side"), [("PNG", "longest"), ("JPEG", "longest"), ("JPEG", "progressive"), ("WEBP", "")]
)
def test_the_largest_picture_takes_less_than_64_mib_beside_itself(format, side):
    width, height = (4096, 3072) if side == "longest" else (2048, 2048)
    noise = Image.effect_noise((width // 4, height // 4), 50).resize((width, height)).convert("RGB")
    options = {
        "PNG": {"compress_level": 1},
        "JPEG": {"progressive": side == "progressive", "subsampling": 0},
        "WEBP": {"method": 0},
    }[format]
    sentences, kilobytes, stderr = decode(saved(noise, format, **options))
    assert (sentences, stderr) == ([], "")
    assert kilobytes < 64 * 1024


def test_a_picture_beyond_the_limit_is_refused():
    black = saved(Image.new("L", (4096, 3073)), "PNG")
    assert len(black) < 100_000
    with pytest.raises(ImageError, match=f"4096x3073 pixels were received; .* 1 to {MAX_PIXELS}"):
        to_rgb(compressed(black))


def test_a_jpeg_of_too_many_scans_is_refused_by_their_number():
    with pytest.raises(ImageError, match=f"A JPEG of {MAX_SCANS + 1} scans was received; at most {MAX_SCANS}"):
        to_rgb(SimpleNamespace(format="jpeg", data=jpeg(64, 48, scans=MAX_SCANS + 1)))
