package sqlite

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/internal/faultdisk"
	"github.com/tenter-dev/tenter/store"
)

// onDisk opens a store on a disk that fails when it is told to.
func onDisk(t *testing.T) (*Store, *faultdisk.Disk) {
	t.Helper()
	dir := t.TempDir()
	d, err := faultdisk.Mount(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenWith(filepath.Join(dir, "a.db"), Options{Private: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Inject(nil)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		d.Unmount()
	})
	return s, d
}

// acknowledged are runs that were started, with two messages each.
type acknowledged struct {
	mu   sync.Mutex
	runs map[string]bool
	next atomic.Int64
}

// start starts a run, and notes it if that was acknowledged.
func (a *acknowledged) start(ctx context.Context, s *Store) error {
	id := fmt.Sprintf("run-%06d", a.next.Add(1))
	run := store.NewRun{ID: id, Workflow: "w", Version: 1, Secret: []byte("s")}
	if _, err := s.Accept(ctx, store.Payload{Token: "t" + id, Data: []byte(strings.Repeat(id, 50)), OrStart: &run}); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.runs[id] = true
	return nil
}

func (a *acknowledged) all() map[string]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.runs)
}

// writeMeanwhile has runs started by several at once while f does something. What they
// are told is handed to them.
func (a *acknowledged) writeMeanwhile(t *testing.T, s *Store, told func(error), f func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				told(a.start(context.WithoutCancel(ctx), s))
			}
		})
	}
	f()
	stop()
	all.Wait()
}

// remains are what is left after a power cut, and what has to be.
type remains struct {
	path         string
	acknowledged map[string]bool
}

// cutPower cuts the power in this moment. Of what was not synced, chance keeps a part.
func (a *acknowledged) cutPower(t *testing.T, d *faultdisk.Disk) remains {
	t.Helper()
	dir, part := t.TempDir(), rand.Float64()
	l := remains{filepath.Join(dir, "a.db"), a.all()}
	if err := d.CutPower(dir, func() bool { return rand.Float64() < part }); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestPowerCut cuts the power again and again, while some syncs fail: then the kernel
// has forgotten what they were to write, and the next sync succeeds without it. What was
// acknowledged is on disk all the same, whatever else the disk has written or not:
// SQLite writes again all that a failed sync was for, because the commit has failed, or
// the checkpoint has.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	for _, fails := range []float64{0, 0.1} {
		t.Run(fmt.Sprint(fails), func(t *testing.T) {
			t.Parallel()
			s, d := onDisk(t)
			rnd := rand.New(rand.NewPCG(1, 2))
			var syncs, failed int
			d.Inject(func(op faultdisk.Op) faultdisk.Fault {
				if op.Kind != faultdisk.Sync {
					return faultdisk.None
				}
				syncs++
				if rnd.Float64() >= fails {
					return faultdisk.None
				}
				failed++
				return faultdisk.Failed
			})
			a := &acknowledged{runs: map[string]bool{}}
			told := func(err error) {
				if err != nil && !strings.Contains(err.Error(), "disk I/O error") {
					t.Error(err)
				}
			}
			const cuts = 4
			var left []remains
			a.writeMeanwhile(t, s, told, func() {
				for cut := range cuts {
					for n := len(a.all()) + 50; len(a.all()) < n; {
						_ = a.start(t.Context(), s)
					}
					if cut%2 == 1 {
						checkpoint(t, s)
					}
					left = append(left, a.cutPower(t, d))
				}
			})
			for _, l := range left {
				check(t, l.path, l.acknowledged)
			}
			if fails > 0 && failed == 0 || syncs < cuts {
				t.Errorf("%d of %d syncs failed: this proves nothing", failed, syncs)
			}
			t.Logf("%d runs acknowledged, %d syncs, %d of them failed, %d power cuts", len(a.all()), syncs, failed, cuts)
		})
	}
}

// TestDiskFull: while there is no space nothing is written, nothing is half written, and
// what is there can be read. When there is space it goes on.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for _, full := range []string{"a.db-wal", "a.db"} {
		t.Run(full, func(t *testing.T) {
			t.Parallel()
			s, d := onDisk(t)
			a := &acknowledged{runs: map[string]bool{}}
			var refused atomic.Int64
			a.writeMeanwhile(t, s, func(err error) {
				if err == nil {
					return
				}
				refused.Add(1)
				if !strings.Contains(err.Error(), "database or disk is full") || !strings.Contains(err.Error(), s.path) {
					t.Error(err)
				}
			}, func() {
				for range 4 {
					var hits atomic.Int64
					d.Inject(func(op faultdisk.Op) faultdisk.Fault {
						if op.Kind == faultdisk.Write && filepath.Base(op.Path) == full {
							hits.Add(1)
							return faultdisk.NoSpace
						}
						return faultdisk.None
					})
					for hits.Load() < 10 {
						_ = a.start(t.Context(), s)
						checkpoint(t, s)
					}
					for id := range a.all() {
						if _, err := s.Run(t.Context(), id); err != nil {
							t.Errorf("read while the disk is full: %v", err)
						}
						break
					}
					d.Inject(nil)
					for n := len(a.all()) + 50; len(a.all()) < n; {
						if err := a.start(t.Context(), s); err != nil {
							t.Fatalf("there is space again: %v", err)
						}
					}
				}
			})
			if full == "a.db-wal" && refused.Load() == 0 {
				t.Error("nothing was refused")
			}
			if err := consistent(s); err != nil {
				t.Error(err)
			}
			left := a.cutPower(t, d)
			check(t, left.path, left.acknowledged)
			t.Logf("%d runs acknowledged, %d refused", len(a.all()), refused.Load())
		})
	}
}

// TestLogFillsDisk: a disk that is full of the log has space again once the log is copied
// into the file.
func TestLogFillsDisk(t *testing.T) {
	t.Parallel()
	s, d := onDisk(t)
	const quota = 2 << 20
	if err := s.Renew(t.Context(), store.Lease{Worker: "w", For: time.Minute}); err != nil {
		t.Fatal(err)
	}
	checkpoint(t, s) // what is in the log has a place in the file
	sizes := map[string]int64{}
	for _, path := range []string{s.path, s.path + "-wal"} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sizes[path] = info.Size()
	}
	full := 0
	d.Inject(func(op faultdisk.Op) faultdisk.Fault {
		switch op.Kind {
		case faultdisk.Truncate:
			sizes[op.Path] = op.Offset
		case faultdisk.Write:
			end := max(sizes[op.Path], op.Offset+int64(op.Size))
			used := end - sizes[op.Path]
			for _, size := range sizes {
				used += size
			}
			if used > quota {
				full++
				return faultdisk.NoSpace
			}
			sizes[op.Path] = end
		case faultdisk.Sync:
		}
		return faultdisk.None
	})
	failed := 0
	for i := range 1500 {
		// The same row, again and again: the file does not grow.
		if err := s.Renew(t.Context(), store.Lease{Worker: "w", For: time.Minute, Build: fmt.Sprint(i)}); err != nil {
			failed++
		}
	}
	if full == 0 {
		t.Error("the disk was never full")
	}
	if failed > 0 {
		t.Errorf("%d operations failed", failed)
	}
}

// TestShortWrites: writes that come short, of the log or the file, are errors, and what
// they leave behind is not taken for data.
func TestShortWrites(t *testing.T) {
	t.Parallel()
	s, d := onDisk(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	d.Inject(func(op faultdisk.Op) faultdisk.Fault {
		if op.Kind == faultdisk.Write && rnd.Float64() < 0.02 {
			return faultdisk.Failed
		}
		return faultdisk.None
	})
	a := &acknowledged{runs: map[string]bool{}}
	var refused atomic.Int64
	var left []remains
	a.writeMeanwhile(t, s, func(err error) {
		if err != nil {
			refused.Add(1)
			if !strings.Contains(err.Error(), "disk I/O error") {
				t.Error(err)
			}
		}
	}, func() {
		for cut := range 4 {
			for n := len(a.all()) + 50; len(a.all()) < n; {
				_ = a.start(t.Context(), s)
			}
			if cut%2 == 1 {
				checkpoint(t, s)
			}
			left = append(left, a.cutPower(t, d))
		}
	})
	for _, l := range left {
		check(t, l.path, l.acknowledged)
	}
	if refused.Load() == 0 {
		t.Error("nothing was refused")
	}
	t.Logf("%d runs acknowledged, %d refused", len(a.all()), refused.Load())
}

// checkpoint copies the log into the file, as far as the disk lets it.
func checkpoint(t *testing.T, s *Store) {
	t.Helper()
	c, err := openConn(s.path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.exec("PRAGMA wal_checkpoint(PASSIVE)") // it may fail
	if err := c.close(); err != nil {
		t.Error(err)
	}
}
