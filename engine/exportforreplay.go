package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tenter-dev/tenter/internal/archive"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// ExportForReplayOptions are options of [Engine.ExportForReplay]. The zero value redacts nothing.
type ExportForReplayOptions struct {
	// RedactFields are names of members of JSON objects, such as "email", or the ends of their paths,
	// such as "customer.email", in inputs, payloads, results and the bodies of requests. In place of
	// their strings and numbers come others of the same length and form: letters for letters, digits
	// for digits. "*" stands for the strings of all members. Times in the format of RFC 3339 stay.
	//
	// Of a webhook's request, "url", "host", "remote_addr", "header.NAME" and, if it is not JSON,
	// "body" are fields; the headers that [inspect.MaskHeader] masks are *** anyway. The text of an
	// error is the field "error".
	//
	// [inspect.MaskHeader]: https://pkg.go.dev/github.com/tenter-dev/tenter/inspect#MaskHeader
	RedactFields []string

	// Redact, if set, is called first, for each value: a string, json.Number, bool or nil, and the
	// names of the members that it is in, with dots in between. What it returns stands in the file; for
	// the same it has to return the same.
	Redact func(path string, value any) any
}

// ExportForReplay writes journals of runs in the form that workflowtest.Replay reads, for a repository:
// without the secrets and generated tokens of runs, and redacted. The engine needs the workflows of the
// runs, and a store that is a [store.Archiver].
//
// It replays each run, to learn which IDs and random numbers its code draws: the file has these, and not
// what they derive from. Other tokens stand for generated ones. A string that is redacted, of three bytes
// or more, is replaced wherever it occurs as a whole word, in other values, in the author's own tokens
// and in the IDs of runs as well, so that code which makes a token of its input makes the one that is in
// the file. Names of steps stay.
//
// Then the run is replayed from what is to be written. Code that decides by a value that was redacted
// takes another way than the journal: then, as for a run that can't be replayed in the first place, the
// export fails and says which, with the verdict. Nothing but the runs that came before is written then.
// It fails with [workflow.ErrRunNotFound], too.
func (e *Engine) ExportForReplay(ctx context.Context, w io.Writer, runIDs []string, opts ExportForReplayOptions) error {
	if err := e.usable(ctx); err != nil {
		return fmt.Errorf("export for replay: %w", err)
	}
	source, ok := e.store.(store.Archiver)
	if !ok {
		return fmt.Errorf("export for replay: runs can't be exported from %s: %w", e.store, errors.ErrUnsupported)
	}
	out := bufio.NewWriter(w)
	err := archive.WriteReplayHead(out, len(runIDs))
	for i := 0; i < len(runIDs) && err == nil; i++ {
		id := runIDs[i]
		var rec archive.Recording
		if rec, err = e.record(ctx, source, id, &opts); err != nil {
			return errors.Join(fmt.Errorf("export run %s for replay: %w", id, err), out.Flush())
		}
		err = archive.WriteRecording(out, &rec)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("export for replay: write: %w", err)
	}
	return nil
}

// recordHangsAfter is how long code may take from one durable call to the next.
const recordHangsAfter = 10 * time.Second

// record makes the recording of a run, and replays it before and after.
func (e *Engine) record(ctx context.Context, source store.Archiver, runID string, opts *ExportForReplayOptions) (rec archive.Recording, err error) {
	a, err := source.Export(ctx, runID)
	if errors.Is(err, store.ErrNotFound) {
		err = workflow.ErrRunNotFound
	}
	if err != nil {
		return rec, err
	}
	before, x, err := e.checkReplay(ctx, readerOf(archive.Recording{Archive: a}), runID, recordHangsAfter)
	if err != nil {
		return rec, err
	}
	if before.Verdict != ReplaySame {
		return rec, fmt.Errorf("its code can't replay it as it is: %s: %s", before.Verdict, before.Detail)
	}
	fields := archive.RedactFields(opts.RedactFields)
	recorder := archive.Recorder{
		IDs: x.Derived(journal.LabelID), Rands: x.Derived(journal.LabelRand),
		Redact: func(r *store.Run, path string, value any) any {
			if opts.Redact != nil {
				if by := opts.Redact(path, value); by != value {
					return by
				}
			}
			return fields(r, path, value)
		},
	}
	if rec, err = recorder.Record(&a); err != nil {
		return rec, err
	}
	after, _, err := e.checkReplay(ctx, readerOf(rec), rec.Run.ID, recordHangsAfter)
	if err != nil {
		return rec, err
	}
	if after.Verdict != ReplaySame || after.Detail != "" && before.Detail == "" {
		return rec, fmt.Errorf("its code can't replay it as it is redacted: %s: %s", after.Verdict, after.Detail)
	}
	return rec, nil
}

// readerOf is a reader of one recording.
func readerOf(rec archive.Recording) store.Reader {
	r := new(archive.Recordings)
	_ = r.Add(rec) // the first one fits
	return r
}
