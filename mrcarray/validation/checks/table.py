"""The table of checks. To add a rule, write one function and add one row.

Codes from MRC101 to MRC199 carry the number of the header word; 2xx is about size and place of the data, 3xx about
their kind, 4xx about extended headers, 5xx about pixels and statistics, 6xx about single programs and archives, 7xx
about maps that belong together, 9xx about files that are something else. A code never changes its meaning.
"""

from __future__ import annotations

from mrcarray.format.issues import CODES, Severity
from mrcarray.validation.checks import archives, data, words
from mrcarray.validation.checks.model import Check
from mrcarray.validation.checks.words import noticed

__all__ = ["CHECKS"]

_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

_MRC, _CLASSIC, _IMOD, _CCP4, _READ = "MRC2014", "MRC2014, mrcfile", "IMOD", "CCP4", "mrcarray"
_EMDB = "EMDB deposition"

_FIX = "mrcarray fix"
_STATS = "mrcarray fix computes it"

_WORDS = (
    Check(
        "MRC101",
        _E,
        1,
        _CLASSIC,
        "a dimension is negative, or 0 beside others that are not",
        "write again",
        words.dimensions,
    ),
    Check("MRC104", _E, 4, _CLASSIC, "the mode is none of the format's", "mrcarray convert --dtype", words.mode),
    Check("MRC108", _E, 8, _CLASSIC, "a number of intervals is negative", _FIX, words.intervals, fixable=True),
    Check(
        "MRC109",
        _W,
        8,
        _MRC,
        "a number of intervals is 0, so a voxel size is unknown or taken from the number of voxels",
        _FIX,
        words.intervals_zero,
        fixable=True,
    ),
    Check(
        "MRC110",
        _E,
        10,
        _CLASSIC,
        "a stack of volumes is not divisible by its sections per volume",
        "mrcarray fix --kind, or edit --set mz=N",
        words.volume_stack,
        fixable=True,
    ),
    Check(
        "MRC111",
        _E,
        11,
        _CLASSIC,
        "a cell length is negative or not finite",
        "mrcarray fix --voxel-size",
        words.cell_lengths,
        fixable=True,
    ),
    Check(
        "MRC112",
        _W,
        11,
        _MRC,
        "a cell length is 0, so a voxel size is unknown",
        "mrcarray fix --voxel-size",
        words.cell_zero,
        fixable=True,
    ),
    Check(
        "MRC113",
        _N,
        11,
        _READ,
        "the voxel size is below 0.01 or above 1000 angstrom",
        "mrcarray fix --voxel-size",
        words.voxel_size,
    ),
    Check(
        "MRC114",
        _E,
        14,
        _MRC,
        "a cell angle is impossible, or 0 (warning)",
        _FIX + " sets 90",
        words.angles,
        fixable=True,
    ),
    Check(
        "MRC117",
        _E,
        17,
        _CLASSIC,
        "the axis numbers are no permutation of 1, 2, 3",
        _FIX + " sets 1, 2, 3",
        words.axes,
        fixable=True,
    ),
    Check(
        "MRC123",
        _W,
        23,
        _CLASSIC,
        "the space group has no meaning; negative: error",
        "mrcarray fix --kind",
        words.space_group,
        fixable=True,
    ),
    Check(
        "MRC124",
        _E,
        24,
        _MRC,
        "the length of the extended header is negative",
        _FIX + " sets 0 when the size of the file agrees",
        words.nsymbt,
        fixable=True,
    ),
    Check(
        "MRC125",
        _W,
        25,
        _READ,
        "a DeltaVision file: its fields have other meanings",
        "mrcarray convert",
        noticed("MRC125"),
    ),
    Check(
        "MRC127",
        _E,
        27,
        _CLASSIC,
        "the type of the extended header is not registered",
        "mrcarray edit --set exttyp=TYPE",
        words.exttyp,
    ),
    Check(
        "MRC126",
        _N,
        27,
        _MRC,
        "a type is declared, but there is no extended header",
        "nothing to do",
        words.exttyp_unused,
    ),
    Check(
        "MRC128",
        _E,
        28,
        _CLASSIC,
        "no version of the format is declared",
        _FIX + ", when nothing else is wrong",
        words.nversion,
        fixable=True,
    ),
    Check(
        "MRC150",
        _W,
        50,
        _MRC,
        "the origin is not finite or absurdly far away",
        "mrcarray edit --set origin=X,Y,Z",
        words.origin,
    ),
    Check(
        "MRC151",
        _N,
        50,
        _READ,
        "origin and start name two different places",
        "mrcarray edit --set nstart=0,0,0",
        words.both_origins,
    ),
    Check("MRC153", _E, 53, _CLASSIC, "the map identifier is missing or misspelt", _FIX, words.map_id, fixable=True),
    Check(
        "MRC154",
        _N,
        54,
        _CCP4,
        "the machine stamp is the CCP4 form of little endian",
        "nothing to do",
        words.stamp_ccp4,
    ),
    Check("MRC160", _E, 54, _MRC, "the numbers are those of a VAX", "convert with other software", noticed("MRC160")),
    Check(
        "MRC161",
        _E,
        54,
        _CLASSIC,
        "there is no valid machine stamp",
        _FIX + " writes that of the order read",
        words.stamp,
        fixable=True,
    ),
    Check(
        "MRC162", _E, 54, _MRC, "the machine stamp contradicts the other words", _FIX, noticed("MRC162"), fixable=True
    ),
    Check("MRC156", _E, 56, _CLASSIC, "the number of labels is not 0 to 10", _FIX, words.label_number, fixable=True),
    Check(
        "MRC157",
        _E,
        57,
        _CLASSIC,
        "an empty label stands before one that has text",
        _FIX,
        words.label_gaps,
        fixable=True,
    ),
    Check(
        "MRC158",
        _E,
        56,
        _CLASSIC,
        "the number of labels is not that of the labels with text",
        _FIX,
        words.label_count,
        fixable=True,
    ),
    Check(
        "MRC159",
        _W,
        57,
        _MRC,
        "a label holds characters that are not printable ASCII",
        "write again",
        words.label_text,
    ),
)

_SIZES = (
    Check(
        "MRC201",
        _E,
        None,
        _CLASSIC,
        CODES["MRC201"],
        "copy the file again; permissive reading gives the whole sections",
        noticed("MRC201"),
    ),
    Check("MRC202", _E, None, _CLASSIC, CODES["MRC202"], "mrcarray convert", noticed("MRC202")),
    Check("MRC203", _E, 24, _READ, CODES["MRC203"], _FIX, noticed("MRC203"), fixable=True),
    Check("MRC204", _E, 1, _READ, CODES["MRC204"], "copy the file again", noticed("MRC204")),
    Check("MRC205", _W, 4, _IMOD, CODES["MRC205"], "mrcarray convert", noticed("MRC205")),
    Check("MRC206", _E, 4, _IMOD, CODES["MRC206"], "write again", noticed("MRC206")),
    Check("MRC208", _N, 1, _MRC, CODES["MRC208"], "nothing to do", noticed("MRC208")),
    Check("MRC302", _E, 3, _READ, CODES["MRC302"], "ask for another kind", noticed("MRC302")),
    Check("MRC303", _N, 23, _MRC, CODES["MRC303"], "mrcarray fix --kind", noticed("MRC303"), fixable=True),
    Check("MRC305", _W, 4, _IMOD, CODES["MRC305"], "mrcarray fix computes the statistics", noticed("MRC305")),
)

_EXTENDED = tuple(
    Check(code, severity, 27, _READ, doc, repair, words.exttyp_lies if code == "MRC401" else noticed(code))
    for code, severity, doc, repair in (
        (
            "MRC401",
            _W,
            "the declared type of the extended header contradicts its bytes",
            "mrcarray edit --set exttyp=TYPE",
        ),
        ("MRC403", _W, "the extended header has fewer records than the file has sections", "nothing to do"),
        ("MRC408", _N, "FEI Tomography 4.4.0.4981 stored angles in the wrong unit", "nothing to do"),
        ("MRC414", _W, CODES["MRC414"], "mrcarray fix --voxel-size"),
        ("MRC410", _W, "the records are in the other byte order than the header", "write again"),
    )
)

_DATA = (
    Check("MRC501", _E, 20, _CLASSIC, "the minimum is not that of the pixels", _STATS, data.minimum, fixable=True),
    Check("MRC502", _E, 21, _CLASSIC, "the maximum is not that of the pixels", _STATS, data.maximum, fixable=True),
    Check("MRC503", _E, 22, _CLASSIC, "the mean is not that of the pixels", _STATS, data.mean, fixable=True),
    Check("MRC504", _E, 55, _CLASSIC, "the deviation is not that of the pixels", _STATS, data.rms, fixable=True),
    Check(
        "MRC505",
        _E,
        None,
        _READ,
        "pixels are not a number",
        "find out why; most programs spread them",
        data.not_a_number,
    ),
    Check("MRC506", _E, None, _READ, "pixels are infinite", "values beyond 65504 do not fit mode 12", data.infinite),
    Check(
        "MRC507",
        _W,
        20,
        _READ,
        "minimum and maximum are equal although the pixels differ",
        _STATS,
        data.constant_range,
        fixable=True,
    ),
    Check(
        "MRC508",
        _E,
        20,
        _READ,
        "a statistic in the header is not a finite number",
        _FIX,
        data.stated_numbers,
        fixable=True,
    ),
    Check("MRC509", _W, 22, _MRC, "the mean lies above the maximum", _STATS, data.mean_outside, fixable=True),
    Check(
        "MRC510",
        _W,
        4,
        _EMDB,
        "the bytes of mode 0 look unsigned",
        "mrcarray convert --dtype uint16",
        data.unsigned_bytes,
    ),
    Check("MRC511", _N, 20, _MRC, "no statistics are stated", _STATS, data.undetermined),
)

_ARCHIVES = tuple(
    Check(code, severity, word, source, doc, repair, rule, profile=profile)
    for profile, source, rows in (
        (
            "emdb",
            _EMDB,
            (
                ("MRC601", _E, 4, "the mode is not 0, 1 or 2", "mrcarray convert --dtype float32", archives.emdb_mode),
                (
                    "MRC602",
                    _E,
                    57,
                    "a label holds a rotation that was not applied",
                    "resample the map",
                    archives.emdb_rotated,
                ),
                (
                    "MRC603",
                    _W,
                    23,
                    "the space group will be replaced by 1",
                    "mrcarray fix --kind volume",
                    archives.emdb_group,
                ),
                (
                    "MRC604",
                    _W,
                    8,
                    "the intervals will be replaced by the dimensions",
                    "mrcarray edit --set m=X,Y,Z",
                    archives.emdb_grid,
                ),
                (
                    "MRC605",
                    _E,
                    11,
                    "the cell is smaller than deposition accepts",
                    "mrcarray fix --voxel-size",
                    archives.emdb_cell,
                ),
                (
                    "MRC606",
                    _W,
                    50,
                    "the origin will be turned into a start in whole voxels",
                    "mrcarray edit --set nstart=X,Y,Z --set origin=0,0,0",
                    archives.emdb_origin,
                ),
                ("MRC607", _W, 24, "the extended header will be removed", "nothing to do", archives.emdb_symmetry),
                (
                    "MRC608",
                    _E,
                    None,
                    "the compression is neither gzip nor bzip2",
                    "mrcarray convert",
                    noticed("MRC608"),
                ),
            ),
        ),
        (
            "imod",
            _IMOD,
            (
                (
                    "MRC641",
                    _W,
                    4,
                    "half floats need IMOD 4.11.25 or later",
                    "mrcarray convert --dtype float32",
                    archives.imod_half_floats,
                ),
                (
                    "MRC646",
                    _W,
                    25,
                    "the mark of DeltaVision stands beside a map identifier",
                    "mrcarray edit --set extra1=hex:",
                    archives.imod_creator,
                ),
                ("MRC647", _N, 17, "a negative axis marks rows that are inverted", _FIX, archives.imod_axes),
            ),
        ),
        (
            "relion",
            "RELION",
            (
                (
                    "MRC661",
                    _E,
                    4,
                    "the mode is none that RELION reads",
                    "mrcarray convert --dtype float32",
                    archives.relion_mode,
                ),
                (
                    "MRC662",
                    _E,
                    1,
                    "4-bit rows have an odd number of columns",
                    "mrcarray convert --dtype uint16",
                    archives.relion_nibbles,
                ),
                ("MRC663", _W, 11, "the voxels are not square", "mrcarray fix --voxel-size", archives.relion_voxels),
            ),
        ),
    )
    for code, severity, word, doc, repair, rule in rows
)

_SETS = tuple(
    Check(code, _E, word, _EMDB, doc, repair, noticed(code))
    for code, word, doc, repair in (
        ("MRC701", 1, "the shape is not that of the first map", "write the maps of a set with one box"),
        ("MRC702", 11, "the voxel size is not that of the first map", "mrcarray fix --voxel-size"),
        ("MRC703", 50, "the place is not that of the first map", "mrcarray edit --set origin=X,Y,Z"),
    )
)

_FOREIGN = tuple(
    Check(code, _E, None, _READ, doc, repair, noticed(code))
    for code, doc, repair in (
        ("MRC901", CODES["MRC901"], "find out what it is"),
        ("MRC902", CODES["MRC902"], "copy the file again"),
        ("MRC903", CODES["MRC903"], "copy the file again"),
        ("MRC904", CODES["MRC904"], "git lfs pull"),
        ("MRC905", CODES["MRC905"], "download the file again"),
        ("MRC906", CODES["MRC906"], "unpack it first"),
        ("MRC907", CODES["MRC907"], "open it with software for that format"),
        ("MRC908", CODES["MRC908"], "open it with software for reflections"),
        ("MRC909", CODES["MRC909"], "copy or write the file again"),
        ("MRC911", "the file could not be opened or read", "see the reason"),
        ("MRC912", "the compressed stream is damaged", "copy the file again"),
        ("MRC913", "the file changed while it was read", "wait until it is written, and check again"),
    )
)

CHECKS: dict[str, Check] = {
    row.code: row for row in (*_WORDS, *_SIZES, *_EXTENDED, *_DATA, *_ARCHIVES, *_SETS, *_FOREIGN)
}
"""The checks by code, in the order in which their findings are listed."""
