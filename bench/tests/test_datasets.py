"""Reading files, and the truth."""

import os
import tempfile
import unittest

import numpy as np

from omenbench import datasets
from omenbench.datasets import DataError, DataSet

try:
    import h5py
except ImportError:
    h5py = None


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.rows = np.arange(12).reshape(4, 3)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_vecs(self, name, element):
        rows = np.zeros(len(self.rows), [("dims", "<i4"), ("values", element, (3,))])
        rows["dims"] = 3
        rows["values"] = self.rows
        rows.tofile(self.path(name))

    def test_vectors(self):
        self.write_vecs("a.fvecs", np.float32)
        self.write_vecs("a.bvecs", np.uint8)
        np.save(self.path("a.npy"), self.rows.astype(np.float16))
        self.rows.astype(np.float32).tofile(self.path("a.f32"))
        for name in ("a.fvecs", "a.bvecs", "a.npy", "a.f32"):
            np.testing.assert_array_equal(datasets.read_vectors(self.path(name), 3), self.rows, name)

    def test_truth(self):
        self.write_vecs("a.ivecs", np.int32)
        self.rows.astype(np.int32).tofile(self.path("a.i32"))
        for name in ("a.ivecs", "a.i32"):
            np.testing.assert_array_equal(datasets.read_truth(self.path(name), 4), self.rows, name)

    def test_unusable(self):
        self.rows.astype(np.float32).tofile(self.path("a.f32"))
        for name in ("a.f32", "none.npy"):
            with self.assertRaises(DataError):
                datasets.read_vectors(self.path(name))
        with self.assertRaises(DataError):
            datasets.from_files(self.path("a.f32"), None, None, None, 3)

    @unittest.skipIf(h5py is None, "no h5py")
    def test_hdf5(self):
        with h5py.File(self.path("a.hdf5"), "w") as file:
            file.attrs["distance"] = "angular"
            file["train"] = self.rows.astype(np.float32)
            file["test"] = self.rows[:2].astype(np.float32)
            file["neighbors"] = np.array([[0, 1], [1, 0]])
        data = datasets.from_files(self.path("a.hdf5"), None, None, None, None)
        self.assertEqual((data.name, data.metric), ("a", "cosine"))
        np.testing.assert_array_equal(data.base, self.rows)
        np.testing.assert_array_equal(data.truth, [[0, 1], [1, 0]])
        self.assertIsNone(datasets.from_files(self.path("a.hdf5"), None, None, "l2", None).truth)

    def test_demo(self):
        data = datasets.demo()
        self.assertEqual((data.base.shape, data.queries.shape), ((10000, 384), (200, 384)))
        self.assertTrue(np.allclose(np.linalg.norm(data.base, axis=1), 1, atol=0.01))


class Truth(unittest.TestCase):
    def setUp(self):
        self.data = datasets.synthetic(500, 8, 20)
        self.all = np.ones(500, bool)

    def test_nearest(self):
        for metric in ("l2", "ip", "cosine", "l1"):
            found = datasets.nearest(metric, self.data.base, self.data.queries, 5)
            for query, rows in zip(self.data.queries, found):
                true = np.argsort(datasets.distances(metric, query, self.data.base))[:5]
                self.assertEqual(list(rows), list(true), metric)

    def test_same_data_each_time(self):
        np.testing.assert_array_equal(datasets.synthetic(500, 8, 20).base, self.data.base)

    def test_answers_among_the_rows_kept(self):
        """By a stored truth and without it, and where the stored truth is too short."""
        keep = np.arange(500) % 3 != 0
        expected = self.data.answers(5, keep)
        self.assertTrue(keep[expected].all())
        whole = datasets.nearest("l2", self.data.base, self.data.queries, 100)
        for length in (100, 6):
            data = DataSet("x", "l2", self.data.base, self.data.queries, whole[:, :length])
            np.testing.assert_array_equal(data.answers(5, keep), expected)

    def test_recall(self):
        answers = self.data.answers(5, self.all)
        self.assertEqual(self.data.recall(list(answers), answers), 1)
        self.assertEqual(self.data.recall([rows[:4] for rows in answers], answers), 0.8)
        self.assertEqual(self.data.recall([np.repeat(rows[:1], 5) for rows in answers], answers), 0.2)
        self.assertEqual(self.data.recall([rows[:0] for rows in answers], answers), 0)

    def test_a_tie_is_as_good(self):
        base = np.array([[1, 0], [0, 1], [5, 5]], np.float32)
        data = DataSet("x", "l2", base, np.zeros((1, 2), np.float32))
        self.assertEqual(data.recall([np.array([1])], np.array([[0]])), 1)
        self.assertEqual(data.recall([np.array([2])], np.array([[0]])), 0)

    def test_other_metric_has_no_stored_truth(self):
        data = DataSet("x", "l2", self.data.base, self.data.queries, np.zeros((20, 5), np.int64))
        self.assertIsNone(datasets.with_metric(data, "cosine").truth)
        self.assertIs(datasets.with_metric(data, "l2"), data)


if __name__ == "__main__":
    unittest.main()
