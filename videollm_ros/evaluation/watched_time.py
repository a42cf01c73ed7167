# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Follow by the stamps what is watched of a recording, and write it into its transcript.

Both an offline run and a replay in real time go by this, so that they agree on when the recording begins, on its
streams and on the stamps that are wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from videollm_ros.evaluation.recording import RecordedImage
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.live.config import LiveConfig
from videollm_ros.media.bags import NANOSECONDS, to_seconds
from videollm_ros.media.sampling import SampledImage, StampSampler


class WatchedTime:
    """Sample the images of a recording by their stamps, and write down which stamps are believed.

    Args:
        transcript: has the begin, the end, the spans, the counts and the notes in the end.
        fps: frames per second of image time.
        max_gap: seconds between two images above which a new stream begins.
    """

    def __init__(self, transcript: Transcript, fps: float, max_gap: float) -> None:
        self.transcript, self.fps, self._max_gap = transcript, fps, max_gap
        self._sampler = StampSampler(fps, max_gap)
        self.held: RecordedImage | None = None
        """The image after a jump, which waits to be believed."""
        self.newest: RecordedImage | None = None
        """The newest image that is believed."""
        self._steps = 0  # between two images of one stream
        self._wrong: list[RecordedImage] = []  # the first whose stamp was not believed
        self._num_wrong = 0

    def images(self, images: Iterable[RecordedImage]) -> Iterator[RecordedImage]:
        """Yield the images that have a stamp, from the first on whose stamp a clock gave. Count all of them."""
        yield from self._without_false_start(self._count(images))

    def _count(self, images: Iterable[RecordedImage]) -> Iterator[RecordedImage]:
        for image in images:
            self.transcript.counts["images"] += 1
            if image.stamp < 0:
                self.refuse(f"An image is stamped {to_seconds(image.stamp)} s, before the time 0.")
                continue
            yield image

    def _without_false_start(self, images: Iterator[RecordedImage]) -> Iterator[RecordedImage]:
        """Leave out a first stream of no duration that a stream of some duration follows.

        A driver that stamps 0 until it has a clock begins like that.
        """
        sampler = StampSampler(self.fps, self._max_gap)
        early: list[RecordedImage] = []
        begins: list[RecordedImage] = []  # of streams
        repeated = 0  # images that cannot become frames, since they repeat the stamp of the first one
        for image in images:
            stamp = to_seconds(image.stamp)
            if stamp == sampler.newest and not sampler.is_holding:
                repeated += len(begins) == 1
                continue
            early.append(image)
            begins += [each.image for each in sampler.take(stamp, image) if each.begins_stream]
            if sampler.newest != to_seconds(begins[-1].stamp) or len(begins) > 2:
                break
        if len(begins) == 2 and sampler.newest != to_seconds(begins[-1].stamp):
            del early[: next(number for number, image in enumerate(early) if image is begins[1])]
            self._note_false_start(begins[0], begins[1], 1 + repeated)
        yield from early
        yield from images

    def _note_false_start(self, first: RecordedImage, second: RecordedImage, count: int) -> None:
        images = "1 image that is" if count == 1 else f"{count} images that are"
        self.transcript.notes.append(
            f"The recording begins with {images} stamped {to_seconds(first.stamp):.3f} s and goes on at "
            f"{to_seconds(second.stamp):.3f} s: what came before was left out, and the time counts from there."
        )

    def refuse(self, sentence: str) -> None:
        """Count an image that cannot be read, and note why the first one cannot."""
        self.transcript.counts["refused"] += 1
        if self.transcript.counts["refused"] == 1:
            self.transcript.notes.append(f"Images were refused. The first: {sentence}")

    def take(self, image: RecordedImage) -> list[SampledImage]:
        """Return the frames that are due now that this image has come, as `StampSampler.take` does."""
        taken = self._sampler.take(to_seconds(image.stamp), image)
        held, self.held = self.held, image if self._sampler.is_holding else None
        self._begin_streams(taken)
        if held is not None and all(each.image is not held for each in taken):
            self._num_wrong += 1
            self._wrong = self._wrong or [held]
        if self.held is None:
            self._go_on(image)
        return taken

    def confirm(self) -> list[SampledImage]:
        """Believe the image after a jump, since no other comes."""
        self.held, taken = None, self._sampler.confirm()
        self._begin_streams(taken)
        return taken

    def _begin_streams(self, taken: Iterable[SampledImage]) -> None:
        transcript = self.transcript
        for each in taken:
            if not each.begins_stream:
                continue
            if not transcript.spans:
                transcript.begin = transcript.end = each.image.stamp
                transcript.frame_id = each.image.frame_id
            self.newest = each.image
            transcript.end = max(transcript.end, each.image.stamp)
            transcript.spans.append((self.time_of(each.image.stamp),) * 2)

    def _go_on(self, image: RecordedImage) -> None:
        """Make the newest stream as long as this image says, which goes on from the one before."""
        if self.newest is None or image.stamp <= self.newest.stamp:
            return
        self.newest, self._steps = image, self._steps + 1
        self.transcript.end = max(self.transcript.end, image.stamp)
        self.transcript.spans[-1] = self.transcript.spans[-1][0], self.time_of(image.stamp)

    def time_of(self, stamp: int) -> float:
        """Return a stamp in nanoseconds as seconds since the first image."""
        return (stamp - self.transcript.begin) / NANOSECONDS

    def finish(self, config: LiveConfig) -> None:
        """Note what is unusual about the stamps of the whole recording."""
        transcript = self.transcript
        if self._wrong:
            count = f"{self._num_wrong} image{'s' * (self._num_wrong > 1)}"
            transcript.notes.append(
                f"The stamps of {count} jump for a moment and were not believed, so nothing was read there. The first "
                f"says {self.time_of(self._wrong[0].stamp):.3f} s."
            )
        rate = self._steps / transcript.seconds if transcript.seconds else self.fps
        if rate < self.fps and config.rate_warning(rate):
            transcript.notes.append(
                f"The recording has {rate:.3g} images per second, and the model was trained at {config.frame_fps:g}. "
                "Expect it to miss events or to speak at wrong moments."
            )
        if transcript.counts["images"] > 1 and transcript.end == transcript.begin:
            transcript.notes.append(
                "All images have the same stamp, so only the first became a frame. "
                "For a bag, --stamps recorded takes the times at which the images were recorded."
            )
