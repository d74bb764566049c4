"""Names become data sets: built in, from a file, downloaded, or refused with the next step."""

import gzip
import hashlib
import io
import re

import httpx
import numpy as np
import pytest

from worker.datasets import available_datasets, downloads, load_dataset
from worker.errors import DatasetInvalid, DatasetNotFound


@pytest.fixture
def data_dir(tmp_path):
    (tmp_path / "datasets").mkdir()
    return tmp_path


@pytest.fixture
def save(data_dir):
    """Write arrays as the data set `own`."""

    def save_own(**arrays):
        np.savez(data_dir / "datasets" / "own.npz", **arrays)

    return save_own


def rows(n=40, n_features=3):
    generator = np.random.default_rng(0)
    return generator.normal(size=(n, n_features)), np.arange(n) % 4


def offline():
    def refuse(request):
        raise httpx.ConnectError("no route to host")

    return httpx.Client(transport=httpx.MockTransport(refuse))


@pytest.mark.parametrize(
    ("name", "sizes", "n_features", "scale"),
    [("digits", (1257, 270, 270), 64, 1 / 16), ("mnist-5k", (3500, 750, 750), 784, 1 / 255)],
)
def test_built_in(name, sizes, n_features, scale, tmp_path):
    dataset = load_dataset(name, tmp_path)
    assert (len(dataset.y_train), len(dataset.y_val), len(dataset.y_test)) == sizes
    assert dataset.n_features == n_features
    assert dataset.n_classes == 10
    assert dataset.scale == scale
    assert dataset.x_train.dtype == np.uint8
    assert dataset.y_train.dtype == np.int32
    assert dataset.x_train.max() * scale == pytest.approx(1.0)


def test_digits_have_the_same_hash_always(tmp_path):
    first, second = load_dataset("digits", tmp_path), load_dataset("digits", tmp_path)
    assert first.sha256 == second.sha256
    assert re.fullmatch("[0-9a-f]{64}", first.sha256)


def test_own_file_with_one_part(save, data_dir):
    x, y = rows()
    save(x=x, y=y)
    dataset = load_dataset("own", data_dir)
    assert dataset.x_train.dtype == np.float32
    assert dataset.scale == 1.0
    assert [len(part) for part in (dataset.y_train, dataset.y_val, dataset.y_test)] == [28, 6, 6]


def test_own_images_are_flattened_and_keep_their_test_part(save, data_dir):
    images = np.random.default_rng(1).integers(0, 256, (24, 4, 5, 3), dtype=np.uint8)
    y = np.arange(24) % 2
    save(x_train=images, y_train=y, x_test=images[:7], y_test=y[:7])
    dataset = load_dataset("own", data_dir)
    assert dataset.x_train.shape == (20, 60)
    assert dataset.x_train.flags.c_contiguous
    assert np.array_equal(dataset.x_test, images[:7].reshape(7, 60))
    assert dataset.scale == 1 / 255


def test_labels_stay_with_their_rows(save, data_dir):
    y = np.arange(60) % 3
    save(x=np.stack([y * 10.0, y * 20.0], axis=1), y=y)
    dataset = load_dataset("own", data_dir)
    assert np.array_equal(dataset.x_train[:, 0], dataset.y_train * 10)
    assert np.array_equal(dataset.x_val[:, 1], dataset.y_val * 20)
    assert np.array_equal(dataset.x_test[:, 0], dataset.y_test * 10)


def test_another_value_is_another_hash(save, data_dir):
    x, y = rows()
    save(x=x, y=y)
    before = load_dataset("own", data_dir).sha256
    x[5, 1] += 1
    save(x=x, y=y)
    assert load_dataset("own", data_dir).sha256 != before


def test_a_file_comes_before_a_download(save, data_dir):
    x, y = rows()
    save(x=x, y=y)
    (data_dir / "datasets" / "own.npz").rename(data_dir / "datasets" / "mnist.npz")
    assert load_dataset("mnist", data_dir, make_client=offline).n_features == 3


NAN = np.where(np.arange(120).reshape(40, 3) == 14, np.nan, 1.0)
Y = np.arange(40) % 4
X = np.ones((40, 3))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X, "y": Y}, r"has the keys a, y\. Write it with np\.savez"),
        ({"x": np.ones(40), "y": Y}, r"x has shape \(40,\).*reshape\(-1, 1\)"),
        ({"x": np.ones((0, 3)), "y": Y[:0]}, r"x is empty \(shape \(0, 3\)\)"),
        ({"x": np.full((40, 3), "one"), "y": Y}, r"x holds <U3, not numbers"),
        ({"x": NAN, "y": Y}, r"row 4, feature 2 is nan as float32 \(1 such values\)"),
        ({"x": X * 1e300, "y": Y}, r"row 0, feature 0 is inf as float32"),
        ({"x": X, "y": Y[:39]}, r"y has 39 labels for 40 rows"),
        ({"x": X, "y": Y[:, None]}, r"y has shape \(40, 1\).*y\.ravel\(\)"),
        ({"x": X, "y": np.eye(4)[Y]}, r"y has shape \(40, 4\).*argmax"),
        ({"x": X, "y": Y.astype(float)}, r'y holds float64.*y\.astype\("int64"\)'),
        ({"x": X, "y": Y - 1}, r"the label -1; labels count from 0"),
        ({"x": X, "y": Y + (1 << 40)}, r"the label \d+, too large"),
        ({"x": X, "y": Y + 1}, r"no row of class 0"),
        ({"x": X, "y": Y * 2}, r"labels up to 6 but no row of class 1"),
        ({"x": X, "y": Y * 0}, r"a single class, 0"),
        ({"x": X, "y": np.minimum(np.arange(40), 1)}, r"1 row\(s\) of class 0.*at least 3"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :2], "y_test": Y}, r"2 features a row, x_train 3"),
        ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y + 1}, r"y_test holds the label 4"),
        ({"x_train": X, "y_train": Y, "x_test": X.astype("u1"), "y_test": Y}, r"uint8, x_train as float32"),
        ({"x_train": X, "y_train": Y, "x_test": X[:0], "y_test": Y[:0]}, r"x_test is empty"),
    ],
)
def test_unusable_arrays_are_refused_with_the_next_step(arrays, message, save, data_dir):
    save(**arrays)
    with pytest.raises(DatasetInvalid, match=message):
        load_dataset("own", data_dir)


def test_pickled_objects_are_never_loaded(save, data_dir):
    save(x=np.array([{"a": 1}, {"b": 2}], dtype=object), y=np.array([0, 1]))
    with pytest.raises(DatasetInvalid, match="cannot be read as a NumPy archive"):
        load_dataset("own", data_dir)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 cut short"])
def test_a_damaged_file_is_refused(content, data_dir):
    (data_dir / "datasets" / "own.npz").write_bytes(content)
    with pytest.raises(DatasetInvalid, match="cannot be read as a NumPy archive"):
        load_dataset("own", data_dir)


def test_a_single_array_is_refused(data_dir):
    buffer = io.BytesIO()
    np.save(buffer, X)
    (data_dir / "datasets" / "own.npz").write_bytes(buffer.getvalue())
    with pytest.raises(DatasetInvalid, match="holds a single array"):
        load_dataset("own", data_dir)


@pytest.mark.parametrize("name", ["../own", "Own", "a/b", "", "a" * 65, "own\n", "-own", "own.npz"])
def test_a_name_is_never_a_path(name, data_dir):
    with pytest.raises(DatasetNotFound, match="is not a name of a data set"):
        load_dataset(name, data_dir)


def test_unknown_name_says_where_to_put_the_file(data_dir):
    with pytest.raises(DatasetNotFound, match=r"known are digits, .*own2\.npz"):
        load_dataset("own2", data_dir)


def test_available_names(save, data_dir):
    save(x=X, y=Y)
    (data_dir / "datasets" / "Not A Name.npz").touch()
    assert available_datasets(data_dir) == ["digits", "fashion-mnist", "mnist", "mnist-5k", "own"]


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_without_a_network_the_error_says_where_to_put_the_file(name, data_dir):
    with pytest.raises(DatasetNotFound, match=rf"ConnectError.*datasets/{name}\.npz"):
        load_dataset(name, data_dir, make_client=offline)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(header + array.tobytes())


def server(files):
    return lambda: httpx.Client(
        transport=httpx.MockTransport(lambda request: httpx.Response(200, content=files[str(request.url)]))
    )


def test_fashion_mnist_is_packed_from_its_four_files_and_kept(data_dir, monkeypatch):
    images = np.random.default_rng(2).integers(0, 256, (30, 4, 4), dtype=np.uint8)
    y = (np.arange(30) % 3).astype(np.uint8)
    contents = {"x_train": idx(images), "y_train": idx(y), "x_test": idx(images[:6]), "y_test": idx(y[:6])}
    published = {
        key: downloads.Download(f"https://files.test/{key}", hashlib.sha256(content).hexdigest())
        for key, content in contents.items()
    }
    monkeypatch.setitem(downloads.DOWNLOADS, "fashion-mnist", (published, downloads.archive_of_idx_files))
    files = {f"https://files.test/{key}": content for key, content in contents.items()}
    fetched = load_dataset("fashion-mnist", data_dir, make_client=server(files))
    kept = load_dataset("fashion-mnist", data_dir, make_client=offline)
    assert np.array_equal(fetched.x_test, images[:6].reshape(6, 16))
    assert kept.sha256 == fetched.sha256


def test_other_bytes_than_the_published_are_not_kept(data_dir):
    files = {downloads.ORIGIN + "mnist.npz": b"something else"}
    with pytest.raises(DatasetInvalid, match="expected 731c5ac6"):
        load_dataset("mnist", data_dir, make_client=server(files))
    assert list((data_dir / "datasets").iterdir()) == []
