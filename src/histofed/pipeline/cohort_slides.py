"""Which slides `histofed cohort` finds, and why one of them is not taken."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.core.labels.barcodes import SAMPLE_TYPES, SLIDE_TYPES, UNSAID, barcode_of
from histofed.core.tasks.base import is_number
from histofed.errors import CohortError, ConfigError
from histofed.io.readers import SLIDE_SUFFIXES, find_slides, image_folders, slide_name
from histofed.io.sources.table import Row, Table, read_table
from histofed.io.tables import mpp_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histofed.pipeline.schema_data import CohortConfig


@dataclass(frozen=True, kw_only=True)
class Found:
    """One slide that a table or a folder names.

    Attributes
    ----------
    file
        As it is named; empty for none.
    folder
        Of a download from the GDC: the file's id.
    site, date
        As the table of slides says; empty where it does not.
    slide_type
        One of `histofed.core.labels.barcodes.SLIDE_TYPES`.
    sample_type
        Two digits of a TCGA barcode; None without one.
    """

    slide_id: str
    patient_id: str
    where: str
    file: str = ""
    folder: str = ""
    site: str = ""
    slide_type: str = UNSAID
    sample_type: str | None = None
    date: str = ""
    mpp: str = ""


def found_slides(config: CohortConfig, patients: Mapping[str, object]) -> list[Found]:
    """Return the slides of the table or the folder; one per patient, without a file, if none.

    Raises
    ------
    ConfigError
        Folders of images without mpp.
    CohortError
        A row is at fault, or two slides have one name.
    """
    if config.slides is None:
        # Nothing was chosen by type, and none of the barcodes' samples: the patient stands for it.
        return [Found(slide_id=each, patient_id=each, where=f"patient {each}") for each in patients]
    path = Path(config.slides)
    slides = _of_folder(path, config, patients) if path.is_dir() else _of_table(path, config)
    seen: dict[str, Found] = {}
    for slide in slides:
        if (first := seen.setdefault(slide.slide_id, slide)) is not slide:
            msg = f"{slide.where}: slide {slide.slide_id} is there already ({first.where}); give "
            msg += "every slide its own name, or keep one row"
            raise CohortError(msg)
    return slides


def _of_table(path: Path, config: CohortConfig) -> list[Found]:
    table, names = read_table(path), config.columns
    slide, file = table.find(names.slide), table.find(names.file)
    if slide is None and file is None:
        table.need([*names.slide, *names.file], "slides", option="columns.slide")
    patient = table.find(names.patient)
    others = {
        "site": table.find(names.site),
        "slide_type": table.find(names.slide_type),
        "date": table.find(names.slide_date),
        "mpp": table.find(names.mpp),
        "folder": table.find(["id"]) if table.find(["md5", "md5sum"]) else None,
    }
    return [_of_row(table, row, slide, file, patient, others) for row in table.rows]


def _of_row(
    table: Table,
    row: Row,
    slide: str | None,
    file: str | None,
    patient: str | None,
    others: Mapping[str, str | None],
) -> Found:
    named = row.cells[file] if file else ""
    slide_id = row.cells[slide] if slide else ""
    slide_id = _without_suffix(slide_id or Path(named).name)
    where = f"{table.where(row)}, slide {slide_id or '?'}"
    if not slide_id:
        msg = f"{where}: {slide or file} is empty; every row names a slide"
        raise CohortError(msg)
    if others["folder"] and Path(named).suffix.lower() not in SLIDE_SUFFIXES:
        msg = f"{where}: {named} is no slide: slides end in {', '.join(sorted(SLIDE_SUFFIXES))}; "
        msg += "name a manifest of slides alone"
        raise CohortError(msg)
    barcode = barcode_of(slide_id) or barcode_of(Path(named).name)
    whose = row.cells[patient] if patient else barcode.patient_id if barcode else ""
    if not whose:
        msg = f"{where}: {'the patient is not named' if not patient else f'{patient} is empty'}; "
        msg += "a slide has a patient: add a column patient_id"
        raise CohortError(msg)
    cells = {name: row.cells[column] if column else "" for name, column in others.items()}
    slide_type = cells.pop("slide_type").lower() or (barcode.slide_type if barcode else UNSAID)
    if slide_type not in SLIDE_TYPES:
        msg = f"{where}: {others['slide_type']} is {slide_type!r}; it must be one of "
        msg += ", ".join(SLIDE_TYPES)
        raise CohortError(msg)
    mpp_of(cells["mpp"], where)
    return Found(
        slide_id=slide_id,
        patient_id=whose,
        where=where,
        file=named,
        slide_type=slide_type,
        sample_type=barcode.sample_type if barcode else None,
        **cells,
    )


def _without_suffix(name: str) -> str:
    return re.sub(r"(?i)\.(svs|tiff?|ndpi|mrxs|scn|vms|vmu|svslide|bif|dcm)$", "", name)


def _of_folder(path: Path, config: CohortConfig, patients: Mapping[str, object]) -> list[Found]:
    images = image_folders(path)
    if images and config.mpp is None:
        msg = f"slides={path}: {images[0].name} is a folder of images, which do not say how many "
        msg += "microns a pixel is; give mpp=..., as the microscope's"
        raise ConfigError(msg)
    files = [*find_slides(path), *images]
    if not files:
        msg = f"slides={path}: there is no slide and no folder of images in it"
        raise CohortError(msg)
    found = []
    for file in files:
        name = slide_name(file)
        barcode = barcode_of(name)
        whose = name if name in patients else barcode.patient_id if barcode else ""
        if not whose:
            msg = f"slides={path}: whose {file.name} is, is not known: it is named neither after a "
            msg += "patient of the table nor with a TCGA barcode; name slides in a table "
            msg += "(patient_id, path)"
            raise CohortError(msg)
        found.append(
            Found(
                slide_id=name,
                patient_id=whose,
                where=str(file),
                file=str(file.resolve()),
                slide_type=barcode.slide_type if barcode else UNSAID,
                sample_type=barcode.sample_type if barcode else None,
                mpp=f"{config.mpp:g}" if config.mpp is not None and file.is_dir() else "",
            )
        )
    return found


def of_other_kind(slides: Sequence[Found], config: CohortConfig) -> dict[str, str]:
    """Return slide -> why its kind is not wanted: frozen, of normal tissue."""
    reasons = {}
    for slide in slides:
        sample = slide.sample_type
        if sample is not None and sample not in config.sample_types:
            reasons[slide.slide_id] = f"sample type {sample} ({SAMPLE_TYPES.get(sample, 'other')})"
        elif slide.slide_type not in config.slide_types:
            reasons[slide.slide_id] = f"{slide.slide_type} slide"
    return reasons


def after_treatment(
    slides: Sequence[Found], start_of: Mapping[str, tuple[str, str]]
) -> tuple[dict[str, str], int]:
    """Return slide -> that it is from after the treatment began, and how many cannot be told.

    Parameters
    ----------
    start_of
        ``patient_id`` -> start of the treatment and where that stands.

    Raises
    ------
    CohortError
        A date is none, or one is a date and the other a number of days.
    """
    reasons, n_unknown = {}, 0
    for slide in slides:
        start, where = start_of.get(slide.patient_id, ("", ""))
        if not start or not slide.date:
            n_unknown += 1
            continue
        taken, began = _day(slide.date, slide.where), _day(start, where)
        if type(taken) is not type(began):
            msg = f"{slide.where}: the slide is of {slide.date!r} and the treatment began on "
            msg += f"{start!r} ({where}); write both as dates or both as days since the diagnosis"
            raise CohortError(msg)
        if taken >= began:  # type: ignore[operator]  # both are of one kind
            reasons[slide.slide_id] = "taken after treatment began"
    return reasons, n_unknown


def _day(cell: str, where: str) -> date | float:
    if is_number(cell):
        return float(cell)
    try:
        return date.fromisoformat(cell[:10])
    except ValueError as error:
        msg = f"{where}: {cell!r} is neither a date (2021-05-31) nor a number of days"
        raise CohortError(msg) from error


def placed(
    slides: Sequence[Found], config: CohortConfig
) -> tuple[list[Found], dict[str, str], str]:
    """Find the files.

    Returns
    -------
    slides
        With absolute paths; without any where no file is there.
    reasons
        Slide -> that its file is not there, where others are.
    said
        What is to be said of it; empty where all are there.

    Raises
    ------
    ConfigError
        ``slides_root`` was named and holds none of them.
    """
    if config.slides is None or Path(config.slides).is_dir():
        return list(slides), {}, ""
    root = Path(config.slides_root or Path(config.slides).parent)
    named = [slide for slide in slides if slide.file]
    there = {slide.slide_id: file for slide in named if (file := _file(root, slide)) is not None}
    if named and not there:
        if config.slides_root is not None:
            msg = f"slides_root={root} holds none of the {len(named)} files, e.g. {named[0].file}"
            raise ConfigError(msg)
        said = f"no file that {config.slides} names is in {root}, so column path is empty; "
        said += "slides_root=FOLDER says where they are"
        return [replace(slide, file="") for slide in slides], {}, said
    reasons = {slide.slide_id: "no such file" for slide in named if slide.slide_id not in there}
    found = [replace(slide, file=str(there.get(slide.slide_id, ""))) for slide in slides]
    return [_with_mpp(slide, config) for slide in found], reasons, ""


def _with_mpp(slide: Found, config: CohortConfig) -> Found:
    """Return a slide with the microns per pixel that images in a folder do not say.

    Raises
    ------
    CohortError
        Nothing says it.
    """
    if slide.mpp or not slide.file or not Path(slide.file).is_dir():
        return slide
    if config.mpp is None:
        msg = f"{slide.where}: {slide.file} is a folder of images, which do not say how many "
        msg += "microns a pixel is; fill in the column mpp, or give mpp=... for all, as the "
        msg += "microscope's"
        raise CohortError(msg)
    return replace(slide, mpp=f"{config.mpp:g}")


def _file(root: Path, slide: Found) -> Path | None:
    """Return where a file is: as it is named, or in the folder of its id, where the GDC puts it."""
    places = [root / slide.file, root / slide.folder / Path(slide.file).name]
    return next((place.absolute() for place in places if place.exists()), None)
