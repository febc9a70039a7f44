package main

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/tenter-dev/tenter/internal/archive"
	"github.com/tenter-dev/tenter/store"
)

// importer imports trees of runs, several at a time.
type importer struct {
	*app
	target store.Archiver
	skip   bool
	total  int
	bar    *progress
	slots  chan struct{}

	group             sync.WaitGroup
	mu                sync.Mutex
	imported, skipped int
	failed            error
}

// read imports all trees, until one fails.
func (im *importer) read(r *archive.Reader) error {
	defer im.bar.clear()
	n := 0
	for im.err() == nil {
		runs, err := r.Tree()
		if errors.Is(err, io.EOF) {
			if n < im.total {
				im.fail(fmt.Errorf("the export ends after %d of %d runs", n, im.total))
			}
			break
		}
		if err != nil {
			im.fail(err)
			break
		}
		n += len(runs)
		select {
		case im.slots <- struct{}{}:
		case <-im.ctx.Done():
			im.fail(im.ctx.Err())
			continue
		}
		im.group.Go(func() {
			defer func() { <-im.slots }()
			im.insert(runs)
		})
	}
	im.group.Wait()
	return im.err()
}

func (im *importer) insert(runs []store.Archive) {
	taken, err := im.target.Import(im.ctx, runs)
	im.mu.Lock()
	defer im.mu.Unlock()
	switch {
	case err == nil:
		im.imported += len(runs)
	case errors.Is(err, store.ErrExists) && im.skip:
		im.skipped += len(runs)
	case im.failed == nil:
		im.failed = importError(runs[0].Run.ID, taken, err)
	}
	done := im.imported + im.skipped
	im.bar.show(fmt.Sprintf("%s of %s runs", number(int64(done)), number(int64(im.total))), int64(done), int64(im.total))
}

func (im *importer) err() error {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.failed
}

func (im *importer) fail(err error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.failed == nil {
		im.failed = err
	}
}
