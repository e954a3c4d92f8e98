"""`SummaryWriter`: what a training run logs, in the files that TensorBoard shows."""

# The classes of messages are made when their modules are imported.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import os
import socket
import time
from datetime import datetime
from typing import Any

from . import pictures
from .embedding import write_embedding

__all__ = ["FileWriter", "SummaryWriter"]


def _summaries() -> Any:
    """The functions that make messages; they need the `tensorboard` package."""
    try:
        from . import summaries
    except ImportError as error:
        raise ImportError(
            "torch.utils.tensorboard needs the package tensorboard: "
            "pip install flambeau[tensorboard]"
        ) from error
    return summaries


class FileWriter:
    """Appends events to a file in a folder.

    Args:
        log_dir: the folder.
        max_queue: how many events wait at most.
        flush_secs: how often the file is written.
        filename_suffix: what the file's name ends with.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        _summaries()
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._arguments = (str(log_dir), max_queue, flush_secs, filename_suffix)
        self.event_writer = EventFileWriter(*self._arguments)

    def get_logdir(self) -> str:
        """The folder."""
        return self.event_writer.get_logdir()

    def add_event(self, event: Any, step: int | None = None, walltime: float | None = None) -> None:
        """Append an event of TensorBoard's."""
        event.wall_time = time.time() if walltime is None else walltime
        if step is not None:
            event.step = int(step)
        self.event_writer.add_event(event)

    def add_summary(
        self, summary: Any, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Append a summary."""
        from tensorboard.compat.proto.event_pb2 import Event

        self.add_event(Event(summary=summary), global_step, walltime)

    def add_graph(self, graph_profile: Any, walltime: float | None = None) -> None:
        """Not built: there are no graphs of TensorFlow's here."""
        raise NotImplementedError("torch.utils.tensorboard.FileWriter.add_graph")

    def add_onnx_graph(self, graph: Any, walltime: float | None = None) -> None:
        """Not built."""
        raise NotImplementedError("torch.utils.tensorboard.FileWriter.add_onnx_graph")

    def flush(self) -> None:
        """Write what waits."""
        self.event_writer.flush()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.event_writer.close()

    def reopen(self) -> None:
        """Go on in a new file."""
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.event_writer = EventFileWriter(*self._arguments)


class SummaryWriter:
    """Logs numbers, pictures and texts of a training run for TensorBoard.

    Args:
        log_dir: the folder; `runs/DATE_HOST` and the comment by default.
        comment: what the default folder's name ends with.
        purge_step: events of this step and later, of a run that crashed, are to be hidden.
        max_queue: how many events wait at most.
        flush_secs: how often the file is written.
        filename_suffix: what the file's name ends with.

    Example::

        >>> import tempfile
        >>> from flambeau.utils.tensorboard import SummaryWriter
        >>> with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
        ...     for step in range(3):
        ...         writer.add_scalar("loss", 1 / (step + 1), step)
        ...     writer.add_histogram("weights", torch.arange(5.0), 3)
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        if not log_dir:
            now = datetime.now().strftime("%b%d_%H-%M-%S")
            log_dir = os.path.join("runs", f"{now}_{socket.gethostname()}{comment}")
        self.log_dir = log_dir
        self.purge_step = purge_step
        self.max_queue = max_queue
        self.flush_secs = flush_secs
        self.filename_suffix = filename_suffix
        self.file_writer: FileWriter | None = None
        self.all_writers: dict[str, FileWriter] | None = None
        self.default_bins = _summaries().default_bins()
        self._get_file_writer()

    def _get_file_writer(self) -> FileWriter:
        if self.file_writer is None:
            self.file_writer = self._new_writer(self.log_dir)
            if self.purge_step is not None:
                self._announce_purge(self.file_writer, self.purge_step)
                self.purge_step = None
        assert self.all_writers is not None
        return self.file_writer

    def _new_writer(self, folder: str | os.PathLike[str]) -> FileWriter:
        writer = FileWriter(folder, self.max_queue, self.flush_secs, self.filename_suffix)
        if self.all_writers is None:
            self.all_writers = {}
        self.all_writers[writer.get_logdir()] = writer
        return writer

    @staticmethod
    def _announce_purge(writer: FileWriter, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        writer.add_event(Event(step=step, file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.SessionStatus.Value("START"))
        writer.add_event(Event(step=step, session_log=start))

    def get_logdir(self) -> str | os.PathLike[str]:
        """The folder of the events."""
        return self.log_dir

    def _add(self, summary: Any, step: int | None, walltime: float | None) -> None:
        self._get_file_writer().add_summary(summary, step, walltime)

    # Numbers

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Log a number: a Python one, or a tensor or an array of one element."""
        summary = _summaries().scalar(tag, scalar_value, new_style, double_precision)
        self._add(summary, global_step, walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: dict[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log several numbers that are shown in one chart, each to a folder of its own."""
        walltime = time.time() if walltime is None else walltime
        folder = self._get_file_writer().get_logdir()
        assert self.all_writers is not None
        for tag, value in tag_scalar_dict.items():
            place = f"{folder}/{main_tag.replace('/', '_')}_{tag}"
            writer = self.all_writers.get(place) or self._new_writer(place)
            summary = _summaries().scalar(main_tag, value, False, False)
            writer.add_summary(summary, global_step, walltime)

    def add_tensor(
        self,
        tag: str,
        tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log a tensor as it is."""
        self._add(_summaries().tensor(tag, tensor), global_step, walltime)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Log how values are distributed.

        Args:
            bins: "tensorflow" for a geometric series around zero, or what `numpy.histogram` takes.
            max_bins: put bins together so that there are at most so many.
        """
        edges = self.default_bins if isinstance(bins, str) and bins == "tensorflow" else bins
        summary = _summaries().histogram(tag, values, edges, max_bins)
        self._add(summary, global_step, walltime)

    def add_histogram_raw(
        self,
        tag: str,
        min: float,
        max: float,
        num: int,
        sum: float,
        sum_squares: float,
        bucket_limits: Any,
        bucket_counts: Any,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log a histogram that was counted elsewhere.

        Raises:
            ValueError: there are not as many limits as counts.
        """
        if len(bucket_limits) != len(bucket_counts):
            raise ValueError("len(bucket_limits) != len(bucket_counts), see the document.")
        summary = _summaries().histogram_raw(
            tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts
        )
        self._add(summary, global_step, walltime)

    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: int | None = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log precision against recall of predictions in [0, 1] for labels 0 and 1."""
        summary = _summaries().pr_curve(tag, labels, predictions, num_thresholds, weights)
        self._add(summary, global_step, walltime)

    def add_pr_curve_raw(
        self,
        tag: str,
        true_positive_counts: Any,
        false_positive_counts: Any,
        true_negative_counts: Any,
        false_negative_counts: Any,
        precision: Any,
        recall: Any,
        global_step: int | None = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log a curve that was computed elsewhere."""
        rows = (
            true_positive_counts,
            false_positive_counts,
            true_negative_counts,
            false_negative_counts,
            precision,
            recall,
        )
        summary = _summaries().pr_curve_raw(tag, *rows, num_thresholds)
        self._add(summary, global_step, walltime)

    # Pictures, sounds, texts

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Log a picture: uint8, or floating-point values from 0 to 1."""
        summary = _summaries().image(tag, img_tensor, dataformats)
        self._add(summary, global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Log a batch of pictures, in rows of eight."""
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_image_with_boxes(
        self,
        tag: str,
        img_tensor: Any,
        box_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        rescale: float = 1,
        dataformats: str = "CHW",
        labels: Any = None,
    ) -> None:
        """Log a picture with rectangles (left, top, right, bottom), and their labels."""
        if isinstance(labels, str):
            labels = [labels]
        if labels is not None and len(labels) != box_tensor.shape[0]:
            labels = None
        summary = _summaries().image(tag, img_tensor, dataformats, rescale, box_tensor, labels)
        self._add(summary, global_step, walltime)

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: int | None = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """Log a figure of matplotlib's, or a list of them, and close it."""
        order = "NCHW" if isinstance(figure, list) else "CHW"
        image = pictures.rendered(figure, close)
        self.add_image(tag, image, global_step, walltime, order)

    def add_video(
        self,
        tag: str,
        vid_tensor: Any,
        global_step: int | None = None,
        fps: float = 4,
        walltime: float | None = None,
    ) -> None:
        """Not built."""
        raise NotImplementedError("torch.utils.tensorboard.SummaryWriter.add_video")

    def add_audio(
        self,
        tag: str,
        snd_tensor: Any,
        global_step: int | None = None,
        sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:
        """Log a sound: samples of one channel, from -1 to 1."""
        self._add(_summaries().audio(tag, snd_tensor, sample_rate), global_step, walltime)

    def add_text(
        self,
        tag: str,
        text_string: str,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log a text in Markdown."""
        self._add(_summaries().text(tag, text_string), global_step, walltime)

    # Models and runs

    def add_graph(
        self,
        model: Any,
        input_to_model: Any = None,
        verbose: bool = False,
        use_strict_trace: bool = True,
    ) -> None:
        """Not built."""
        raise NotImplementedError("torch.utils.tensorboard.SummaryWriter.add_graph")

    def add_onnx_graph(self, prototxt: Any) -> None:
        """Not built."""
        raise NotImplementedError("torch.utils.tensorboard.SummaryWriter.add_onnx_graph")

    def add_embedding(
        self,
        mat: Any,
        metadata: Any = None,
        label_img: Any = None,
        global_step: int | None = None,
        tag: str = "default",
        metadata_header: Any = None,
    ) -> None:
        """Log points of a space of many dimensions, for the projector.

        Args:
            mat: (N, D), the points.
            metadata: N labels, or N rows of labels.
            label_img: (N, C, H, W), a picture for each point.
            metadata_header: what the columns of labels are called.
        """
        write_embedding(
            str(self._get_file_writer().get_logdir()),
            mat,
            metadata,
            label_img,
            global_step,
            tag,
            metadata_header,
        )

    def add_mesh(
        self,
        tag: str,
        vertices: Any,
        colors: Any = None,
        faces: Any = None,
        config_dict: Any = None,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log points (B, N, 3), their colours (B, N, 3) and triangles (B, M, 3)."""
        summary = _summaries().mesh(tag, vertices, colors, faces, config_dict)
        self._add(summary, global_step, walltime)

    def add_hparams(
        self,
        hparam_dict: dict[str, Any],
        metric_dict: dict[str, Any],
        hparam_domain_discrete: dict[str, list[Any]] | None = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Log hyper-parameters and what came of them, as a run of its own in the folder.

        Raises:
            TypeError: one of them is no dictionary.
        """
        if not isinstance(hparam_dict, dict) or not isinstance(metric_dict, dict):
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        messages = _summaries().hparams(hparam_dict, metric_dict, hparam_domain_discrete)
        folder = os.path.join(self._get_file_writer().get_logdir(), run_name or str(time.time()))
        with SummaryWriter(folder) as writer:
            for message in messages:
                writer._add(message, global_step, None)
            for name, value in metric_dict.items():
                writer.add_scalar(name, value, global_step)

    def add_custom_scalars(self, layout: dict[str, dict[str, Any]]) -> None:
        """Say which scalars are shown together: {category: {title: [kind, tags]}}.

        A kind is "Multiline", or "Margin" with three tags: the value, its lower and upper bound.
        """
        self._add(_summaries().custom_scalars(layout), None, None)

    def add_custom_scalars_multilinechart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Show several scalars in one chart."""
        self.add_custom_scalars({category: {title: ["Multiline", tags]}})

    def add_custom_scalars_marginchart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Show a scalar with a lower and an upper bound."""
        if len(tags) != 3:
            raise AssertionError(f"Expected 3 tags, got {len(tags)}.")
        self.add_custom_scalars({category: {title: ["Margin", tags]}})

    # Ends

    def flush(self) -> None:
        """Write what waits."""
        for writer in (self.all_writers or {}).values():
            writer.flush()

    def close(self) -> None:
        """Write what waits, and close the files; the next call opens new ones."""
        for writer in (self.all_writers or {}).values():
            writer.flush()
            writer.close()
        self.file_writer = self.all_writers = None

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        self.close()
