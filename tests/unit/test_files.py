"""Tables from files, and paths that stay in their folder."""

from pathlib import Path

import pandas as pd
import pytest

from rctgap.errors import AnalysisError, DataError, Fault
from rctgap.files import inside, read_table


def written(tmp_path: Path, content: bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def faults_of(path: Path) -> list[Fault]:
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert all(fault.file == str(path) for fault in caught.value.faults)
    return list(caught.value.faults)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_csv_cells_stay_text(tmp_path: Path, mark: bytes, end: bytes):
    lines = [b"id,n,text", b"007,1.0,NA", b'nan,,"a, ""b""\nc"', "é, 1 ,true".encode(), b""]
    frame = read_table(written(tmp_path, mark + end.join(lines)))
    assert list(frame.columns) == ["id", "n", "text"]
    assert frame.to_numpy().tolist() == [["007", "1.0", "NA"], ["nan", "", 'a, "b"\nc'], ["é", " 1 ", "true"]]
    assert not frame.isna().any(axis=None)


@pytest.mark.parametrize(
    ("content", "what", "place"),
    [
        (b"", "empty", ""),
        (b"\xef\xbb\xbf\n", "empty", ""),
        (b"\n\na,b\n", "header is blank", "line 1"),
        (b"a,b\n", "no rows", ""),
        (b"a,b\n1,2\n1,\xff\n", "not UTF-8", "line 3"),
        (b"a,b\n1,2\n1,\0\n", "NUL", "line 3"),
        (b'a,b\n1,"2\n', "cannot be read", ""),
        (b"a,,b\n1,2,3\n", "no name", "column 2"),
        (b"a,b,a\n1,2,3\n", "2 columns have this name", "header"),
        (b"1,2\n3,4\n", "numbers only", "line 1"),
        (b"a;b\n1;2\n", "not separated by commas", "line 1"),
    ],
)
def test_csv_faults_name_file_and_line(tmp_path: Path, content: bytes, what: str, place: str):
    faults = faults_of(written(tmp_path, content))
    assert what in faults[0].what
    assert faults[0].place.startswith(place)


def test_every_ragged_row_is_named(tmp_path: Path):
    faults = faults_of(written(tmp_path, b'a,b\n"x\ny",2\n1\n\n1,2,3\n'))
    assert [(fault.row, fault.place) for fault in faults] == [(2, "line 4"), (3, "line 5"), (4, "line 6")]
    assert "1 cells under 2 columns" in faults[0].what
    assert "blank" in faults[1].what


def test_columnar_files_keep_integers_with_gaps(tmp_path: Path):
    frame = pd.DataFrame({"n": pd.array([2**60 + 1, None], dtype="Int64"), "s": ["NA", None]}, index=[5, 5])
    frame.to_parquet(tmp_path / "t.parquet")
    frame.reset_index(drop=True).to_feather(tmp_path / "t.feather")
    for name in ("t.parquet", "t.feather"):
        read = read_table(tmp_path / name)
        assert read["n"].dtype == "Int64"
        assert read["n"].iloc[0] == 2**60 + 1
        assert read["s"].iloc[0] == "NA"
        assert read["s"].isna().tolist() == [False, True]
        assert read.index.tolist() == [0, 1]


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_damaged_columnar_files_are_refused(tmp_path: Path, suffix: str):
    assert "cannot be read" in faults_of(written(tmp_path, b"no such format", f"t.{suffix}"))[0].what
    frame = pd.DataFrame({"n": range(1000)})
    path = tmp_path / f"u.{suffix}"
    getattr(frame, f"to_{suffix}")(path)
    path.write_bytes(path.read_bytes()[:-100])
    assert "cannot be read" in faults_of(path)[0].what


def test_an_unknown_suffix_lists_the_three(tmp_path: Path):
    (fault,) = faults_of(written(tmp_path, b"a\n1\n", "t.xlsx"))
    assert fault.allowed == "Allowed: .csv, .parquet, .feather"


def test_a_missing_file_is_a_fault(tmp_path: Path):
    assert faults_of(tmp_path / "none.csv")[0].what == "no such file"


def test_paths_stay_inside(tmp_path: Path):
    base = tmp_path / "trial"
    base.mkdir()
    assert inside(base, "data/../t.csv") == base.resolve() / "t.csv"
    for relative in ("../t.csv", "data/../../t.csv", str(tmp_path / "t.csv"), str(base / "t.csv"), "", "a\0b"):
        with pytest.raises(AnalysisError) as caught:
            inside(base, relative)
        assert caught.value.faults[0].value == relative


def test_paths_may_leave_where_allowed(tmp_path: Path):
    assert inside(tmp_path / "a", "../t.csv", allow_outside=True) == tmp_path.resolve() / "t.csv"
    assert inside(tmp_path / "a", str(tmp_path / "t.csv"), allow_outside=True) == tmp_path.resolve() / "t.csv"


def test_symbolic_links_are_followed_before_the_check(tmp_path: Path):
    base, secret = tmp_path / "trial", tmp_path / "secret"
    base.mkdir()
    secret.mkdir()
    (base / "link").symlink_to(secret)
    (base / "own").symlink_to(base)
    assert inside(base, "own/t.csv") == base.resolve() / "t.csv"
    with pytest.raises(AnalysisError, match="leaves the folder"):
        inside(base, "link/t.csv")


def test_a_base_reached_by_a_link_is_no_reason_to_refuse(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    assert inside(tmp_path / "alias", "t.csv") == (tmp_path / "real").resolve() / "t.csv"
