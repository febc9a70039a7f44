package floor

import (
	"errors"
	"os"
	"time"
)

// Overwrites returns how often a second 4 KiB of a file can be overwritten and synced.
func Overwrites(dir string, d time.Duration) (perSecond float64, err error) {
	return synced(dir, d, func(f *os.File, block []byte, _ int64) error {
		_, err := f.WriteAt(block, 0)
		return err
	})
}

// Appends returns how often a second 4 KiB can be appended to a file and synced.
func Appends(dir string, d time.Duration) (perSecond float64, err error) {
	return synced(dir, d, func(f *os.File, block []byte, i int64) error {
		_, err := f.WriteAt(block, i*int64(len(block)))
		return err
	})
}

func synced(dir string, d time.Duration, write func(f *os.File, block []byte, i int64) error) (float64, error) {
	f, err := os.CreateTemp(dir, "tenter-bench-")
	if err != nil {
		return 0, err
	}
	n, err := perSecond(d, func(i int64) error {
		if err := write(f, make([]byte, 4096), i); err != nil {
			return err
		}
		return syncData(f)
	})
	return n, errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// perSecond calls f with rising numbers for a while.
func perSecond(d time.Duration, f func(i int64) error) (float64, error) {
	began := time.Now()
	for i := int64(0); ; i++ {
		if passed := time.Since(began); passed >= d {
			return float64(i) / passed.Seconds(), nil
		}
		if err := f(i); err != nil {
			return 0, err
		}
	}
}
