"""The table of checks. To add a rule, write one function and add one row.

Codes MRC101 to MRC199 contain the number of the header word; 2xx are about size and offset of the data, 3xx about their
kind, 4xx about extended headers, 5xx about pixels and statistics, 6xx about one program or archive, 7xx about maps that
belong together, 9xx about files of other formats. A code never changes its meaning.
"""

from __future__ import annotations

from mrcarray.format.issues import CODES, Severity
from mrcarray.validation.checks import archives, data, words
from mrcarray.validation.checks.model import Check
from mrcarray.validation.checks.words import reported

__all__ = ["CHECKS"]

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

_SPEC, _MRCFILE, _IMOD, _CCP4, _OURS = "MRC2014", "MRC2014, mrcfile", "IMOD", "CCP4", "mrcarray"
_EMDB, _RELION = "EMDB deposition", "RELION"

_FIX = "mrcarray fix FILE"
_FIX_SIZE = "mrcarray fix --voxel-size A FILE"
_FIX_KIND = "mrcarray fix --kind KIND FILE"
_CONVERT = "mrcarray convert FILE NEW.mrc"
_FLOAT32 = "mrcarray convert --dtype float32 FILE NEW.mrc"
_UINT16 = "mrcarray convert --dtype uint16 FILE NEW.mrc"
_SET_TYPE = "mrcarray edit --set exttyp=TYPE FILE"
_COPY, _WRITE, _NOTHING = "copy the file again", "write the file again", "nothing to do"

_WORDS = (
    Check("MRC101", _ERROR, 1, _MRCFILE, "a dimension is not positive", _WRITE, words.dimensions),
    Check(
        "MRC104",
        _ERROR,
        4,
        _MRCFILE,
        "the mode is not one of MRC2014",
        "mrcarray convert --dtype DTYPE FILE NEW.mrc",
        words.mode,
    ),
    Check("MRC108", _ERROR, 8, _MRCFILE, "a number of cell intervals is negative", _FIX, words.intervals, fixable=True),
    Check("MRC109", _WARNING, 8, _SPEC, "a number of cell intervals is 0", _FIX, words.intervals_zero, fixable=True),
    Check(
        "MRC110",
        _ERROR,
        10,
        _MRCFILE,
        "nz is not a multiple of mz in a stack of volumes",
        "mrcarray fix --kind KIND FILE  # or mrcarray edit --set mz=N FILE",
        words.volume_stack,
        fixable=True,
    ),
    Check(
        "MRC111",
        _ERROR,
        11,
        _MRCFILE,
        "a cell length is negative or not finite",
        _FIX_SIZE,
        words.cell_lengths,
        fixable=True,
    ),
    Check("MRC112", _WARNING, 11, _SPEC, "a cell length is 0", _FIX_SIZE, words.cell_zero, fixable=True),
    Check("MRC113", _NOTE, 11, _OURS, "the voxel size is unusual", _FIX_SIZE, words.voxel_size),
    Check("MRC114", _ERROR, 14, _SPEC, "a cell angle is 0 (warning) or impossible", _FIX, words.angles, fixable=True),
    Check("MRC117", _ERROR, 17, _MRCFILE, "the axis numbers are not 1, 2, 3", _FIX, words.axes, fixable=True),
    Check("MRC123", _WARNING, 23, _MRCFILE, "the space group is not valid", _FIX_KIND, words.space_group, fixable=True),
    Check("MRC124", _ERROR, 24, _SPEC, "nsymbt is negative", _FIX, words.nsymbt, fixable=True),
    Check("MRC125", _WARNING, 25, _OURS, "a DeltaVision file: words differ in meaning", _CONVERT, reported("MRC125")),
    Check("MRC127", _ERROR, 27, _MRCFILE, "exttyp is not a registered type", _SET_TYPE, words.exttyp),
    Check("MRC126", _NOTE, 27, _SPEC, "exttyp without extended header", _NOTHING, words.exttyp_unused),
    Check(
        "MRC128",
        _ERROR,
        28,
        _MRCFILE,
        "no format version is declared",
        f"{_FIX}  # after the other repairs",
        words.nversion,
        fixable=True,
    ),
    Check(
        "MRC150",
        _WARNING,
        50,
        _SPEC,
        "the origin is not finite or too far away",
        "mrcarray edit --set origin=X,Y,Z FILE",
        words.origin,
    ),
    Check(
        "MRC151",
        _NOTE,
        50,
        _OURS,
        "origin and nstart give different positions",
        "mrcarray edit --set nstart=0,0,0 FILE",
        words.both_origins,
    ),
    Check("MRC153", _ERROR, 53, _MRCFILE, "the map identifier is not 'MAP '", _FIX, words.map_id, fixable=True),
    Check("MRC154", _NOTE, 54, _CCP4, "the machine stamp is 44 41", _NOTHING, words.stamp_ccp4),
    Check("MRC160", _ERROR, 54, _SPEC, "VAX numbers", "convert with other software", reported("MRC160")),
    Check("MRC161", _ERROR, 54, _MRCFILE, "the machine stamp is not valid", _FIX, words.stamp, fixable=True),
    Check(
        "MRC162",
        _ERROR,
        54,
        _SPEC,
        "the machine stamp contradicts the other words",
        _FIX,
        reported("MRC162"),
        fixable=True,
    ),
    Check("MRC156", _ERROR, 56, _MRCFILE, "nlabl is not 0 to 10", _FIX, words.label_number, fixable=True),
    Check("MRC157", _ERROR, 57, _MRCFILE, "an empty label before one with text", _FIX, words.label_gaps, fixable=True),
    Check("MRC158", _ERROR, 56, _MRCFILE, "nlabl is not the number of labels", _FIX, words.label_count, fixable=True),
    Check("MRC159", _WARNING, 57, _SPEC, "a label is not printable ASCII", _WRITE, words.label_text),
)

_SIZES = (
    Check(
        "MRC201",
        _ERROR,
        None,
        _MRCFILE,
        CODES["MRC201"],
        "mrcarray stats --permissive FILE  # uses the complete sections; or copy the file again",
        reported("MRC201"),
    ),
    Check("MRC202", _ERROR, None, _MRCFILE, CODES["MRC202"], _CONVERT, reported("MRC202")),
    Check("MRC203", _ERROR, 24, _OURS, CODES["MRC203"], _FIX, reported("MRC203"), fixable=True),
    Check("MRC204", _ERROR, 1, _OURS, CODES["MRC204"], _COPY, reported("MRC204")),
    Check("MRC205", _WARNING, 4, _IMOD, CODES["MRC205"], _CONVERT, reported("MRC205")),
    Check("MRC206", _ERROR, 4, _IMOD, CODES["MRC206"], _WRITE, reported("MRC206")),
    Check("MRC208", _NOTE, 1, _SPEC, CODES["MRC208"], _NOTHING, reported("MRC208")),
    Check("MRC302", _ERROR, 3, _OURS, CODES["MRC302"], "pass another kind", reported("MRC302")),
    Check("MRC303", _NOTE, 23, _SPEC, CODES["MRC303"], _FIX_KIND, reported("MRC303"), fixable=True),
    Check("MRC305", _WARNING, 4, _IMOD, CODES["MRC305"], _FIX, reported("MRC305")),
)

_EXTENDED = (
    Check("MRC401", _WARNING, 27, _OURS, CODES["MRC401"], _SET_TYPE, words.exttyp_lies),
    Check("MRC403", _WARNING, 27, _OURS, CODES["MRC403"], _NOTHING, reported("MRC403")),
    Check("MRC408", _NOTE, 27, _OURS, CODES["MRC408"], _NOTHING, reported("MRC408")),
    Check("MRC414", _WARNING, 27, _OURS, CODES["MRC414"], _FIX_SIZE, reported("MRC414")),
    Check("MRC410", _WARNING, 27, _OURS, CODES["MRC410"], _WRITE, reported("MRC410")),
)

_DATA = (
    Check("MRC501", _ERROR, 20, _MRCFILE, "dmin is not the minimum of the pixels", _FIX, data.minimum, fixable=True),
    Check("MRC502", _ERROR, 21, _MRCFILE, "dmax is not the maximum of the pixels", _FIX, data.maximum, fixable=True),
    Check("MRC503", _ERROR, 22, _MRCFILE, "dmean is not the mean of the pixels", _FIX, data.mean, fixable=True),
    Check("MRC504", _ERROR, 55, _MRCFILE, "rms is not that of the pixels", _FIX, data.rms, fixable=True),
    Check(
        "MRC505",
        _ERROR,
        None,
        _OURS,
        "pixels are NaN",
        "find their source; most programs spread them",
        data.not_a_number,
    ),
    Check(
        "MRC506", _ERROR, None, _OURS, "pixels are infinite", "mode 12 is limited to 65504; use mode 2", data.infinite
    ),
    Check("MRC507", _WARNING, 20, _OURS, "dmin = dmax, but pixels differ", _FIX, data.constant_range, fixable=True),
    Check("MRC508", _ERROR, 20, _OURS, "a statistic is not finite", _FIX, data.stated_numbers, fixable=True),
    Check("MRC509", _WARNING, 22, _SPEC, "dmean is above dmax", _FIX, data.mean_outside, fixable=True),
    Check("MRC510", _WARNING, 4, _EMDB, "the bytes of mode 0 look unsigned", _UINT16, data.unsigned_bytes),
    Check("MRC511", _NOTE, 20, _SPEC, "the statistics are not computed", _FIX, data.undetermined),
)

_SET_START = "mrcarray edit --set nstart=X,Y,Z --set origin=0,0,0 FILE"
_ROTATED = "a label records a rotation without resampling"
_ARCHIVES = tuple(
    Check(code, severity, word, source, doc, repair, rule, profile=profile)
    for profile, source, code, severity, word, doc, repair, rule in (
        ("emdb", _EMDB, "MRC601", _ERROR, 4, "the mode is not 0, 1 or 2", _FLOAT32, archives.emdb_mode),
        ("emdb", _EMDB, "MRC602", _ERROR, 57, _ROTATED, "resample the map", archives.emdb_rotated),
        (
            "emdb",
            _EMDB,
            "MRC603",
            _WARNING,
            23,
            "EMDB replaces the space group by 1",
            "mrcarray fix --kind volume FILE",
            archives.emdb_group,
        ),
        (
            "emdb",
            _EMDB,
            "MRC604",
            _WARNING,
            8,
            "EMDB replaces the intervals by the dimensions",
            "mrcarray edit --set m=X,Y,Z FILE",
            archives.emdb_grid,
        ),
        ("emdb", _EMDB, "MRC605", _ERROR, 11, "the cell is smaller than EMDB accepts", _FIX_SIZE, archives.emdb_cell),
        ("emdb", _EMDB, "MRC606", _WARNING, 50, "EMDB converts origin to nstart", _SET_START, archives.emdb_origin),
        ("emdb", _EMDB, "MRC607", _WARNING, 24, "EMDB removes the extended header", _NOTHING, archives.emdb_symmetry),
        ("emdb", _EMDB, "MRC608", _ERROR, None, "the compression is not gzip or bzip2", _CONVERT, reported("MRC608")),
        ("imod", _IMOD, "MRC641", _WARNING, 4, "float16 needs IMOD 4.11.25", _FLOAT32, archives.imod_half_floats),
        (
            "imod",
            _IMOD,
            "MRC646",
            _WARNING,
            25,
            "DeltaVision's creator number, but not its format",
            "mrcarray edit --set extra1=hex:0000000000000000 FILE",
            archives.imod_creator,
        ),
        ("imod", _IMOD, "MRC647", _NOTE, 17, "a negative axis number: inverted rows", _FIX, archives.imod_axes),
        ("relion", _RELION, "MRC661", _ERROR, 4, "RELION does not read this mode", _FLOAT32, archives.relion_mode),
        ("relion", _RELION, "MRC662", _ERROR, 1, "4-bit rows of odd length", _UINT16, archives.relion_nibbles),
        ("relion", _RELION, "MRC663", _WARNING, 11, "the pixels are not square", _FIX_SIZE, archives.relion_voxels),
    )
)

_SETS = tuple(
    Check(code, _ERROR, word, _EMDB, doc, repair, reported(code))
    for code, word, doc, repair in (
        ("MRC701", 1, "the shape differs from the first map", "write all maps of a set with one box size"),
        ("MRC702", 11, "the voxel size differs from the first map", _FIX_SIZE),
        ("MRC703", 50, "the position differs from the first map", "mrcarray edit --set origin=X,Y,Z FILE"),
    )
)

_FOREIGN = tuple(
    Check(code, _ERROR, None, _OURS, doc, repair, reported(code))
    for code, doc, repair in (
        ("MRC901", CODES["MRC901"], "find out its format"),
        ("MRC902", CODES["MRC902"], _COPY),
        ("MRC903", CODES["MRC903"], _COPY),
        ("MRC904", CODES["MRC904"], "git lfs pull"),
        ("MRC905", CODES["MRC905"], "download the file again"),
        ("MRC906", CODES["MRC906"], "decompress it first"),
        ("MRC907", CODES["MRC907"], "open it with software for that format"),
        ("MRC908", CODES["MRC908"], "open it with software for reflections"),
        ("MRC909", CODES["MRC909"], "copy or write the file again"),
        ("MRC911", "the file could not be opened or read", "see the message"),
        ("MRC912", "the compressed data are damaged", _COPY),
        ("MRC913", "the file changed while it was read", "check it again once it is complete"),
    )
)

CHECKS: dict[str, Check] = {
    row.code: row for row in (*_WORDS, *_SIZES, *_EXTENDED, *_DATA, *_ARCHIVES, *_SETS, *_FOREIGN)
}
"""The checks by code, in the order in which a report lists their issues."""
