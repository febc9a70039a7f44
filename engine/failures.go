package engine

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// failurePage is how many failed runs are read at once.
const failurePage = 250

// Failures groups failed runs by their causes, see [inspect.Client].
func (e *Engine) Failures(ctx context.Context, f inspect.FailureFilter) (inspect.Failures, error) {
	fail := func(err error) (inspect.Failures, error) {
		return inspect.Failures{}, fmt.Errorf("group failed runs: %w", err)
	}
	if err := e.usable(ctx); err != nil {
		return fail(err)
	}
	if err := f.Validate(); err != nil {
		return fail(err)
	}
	g := failureGroups{byCause: map[cause]*inspect.FailureGroup{}}
	q := store.Filter{Status: store.Failed, Workflow: f.Workflow, Since: saturate.Up(f.Since), Until: saturate.Up(f.Until), Limit: failurePage}
	for looked := 0; ; {
		found, err := e.store.Runs(ctx, q)
		if err != nil {
			return fail(err)
		}
		if looked == inspect.MaxFailures {
			return g.all(len(found) > 0), nil
		}
		if err := e.addFailures(ctx, &g, found); err != nil {
			return fail(err)
		}
		if len(found) < q.Limit {
			return g.all(false), nil
		}
		looked += len(found)
		last := &found[len(found)-1]
		q.Before = store.RunCursor{CreatedAt: last.CreatedAt, ID: last.ID}
	}
}

// addFailures adds runs to the groups.
func (e *Engine) addFailures(ctx context.Context, g *failureGroups, runs []store.Run) error {
	ids := make([]string, len(runs))
	for i := range runs {
		ids[i] = runs[i].ID
	}
	why, err := e.failuresOf(ctx, ids)
	if err != nil {
		return err
	}
	for i := range runs {
		if f, ok := why[runs[i].ID]; ok {
			g.add(&runs[i], f)
		}
	}
	return nil
}

// failuresOf returns what runs have failed with, without those that were retried meanwhile.
func (e *Engine) failuresOf(ctx context.Context, runIDs []string) (map[string]failure, error) {
	ends, err := e.store.Endings(ctx, runIDs)
	if err != nil {
		return nil, err
	}
	why := make(map[string]failure, len(ends))
	for i := range ends {
		if ends[i].Status == store.Failed {
			why[ends[i].RunID] = failureOf(ends[i].Data)
		}
	}
	return why, nil
}

// failure is what a run failed with, as lists have it.
type failure struct {
	line  string // the first of the error
	step  string // the ID of the step that the error is of, if it is of one
	cause string // the first line of the step's error, or of the error, all of it
}

func failureOf(data []byte) failure {
	f := journal.DecodeFailure(data)
	why := failure{line: cutLine(firstLine(f.Text)), cause: firstLine(f.Text)}
	i := slices.IndexFunc(f.As, func(as journal.Typed) bool { return as.Type == journal.AsStep })
	if i >= 0 {
		why.step = f.As[i].Step
		if c := f.As[i].Cause; c != nil {
			why.cause = firstLine(c.Text)
		}
	}
	return why
}

const (
	// maxErrorLine is how much of an error lists have, in bytes.
	maxErrorLine = 300
	// maxCause is how much of an error is compared with others, in bytes.
	maxCause = 4 << 10
	// errorsWithin is how long a list waits for the errors of its runs.
	errorsWithin = 2 * time.Second
)

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// cutLine cuts a line, and no word in it that may be a token: the rest of one is not masked.
func cutLine(line string) string {
	end := min(maxErrorLine, len(line))
	for end > 0 && end < len(line) && journal.InToken(line[end-1]) && journal.InToken(line[end]) {
		end--
	}
	return run.CutTo(line, end)
}

// addErrors says of failed runs what their errors are, if the store tells soon: it may wait for its
// standby, which a list does not.
func (e *Engine) addErrors(ctx context.Context, infos []workflow.RunInfo) {
	var failed []string
	for i := range infos {
		if infos[i].Status == workflow.StatusFailed {
			failed = append(failed, infos[i].ID)
		}
	}
	if len(failed) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, errorsWithin)
	defer cancel()
	why, err := e.failuresOf(ctx, failed)
	if err != nil {
		e.log.WarnContext(ctx, "a list of runs is without their errors", "error", err)
	}
	for i := range infos {
		f := why[infos[i].ID]
		infos[i].Error, infos[i].FailedStep = f.line, f.step
	}
}

// cause is what failed runs of a group have in common.
type cause struct{ workflow, step, text string }

type failureGroups struct {
	runs    int
	byCause map[cause]*inspect.FailureGroup
}

// add adds a run. Those that were created later come first.
func (g *failureGroups) add(r *store.Run, why failure) {
	step := why.step[:max(0, strings.LastIndexByte(why.step, '#'))]
	c := cause{r.Workflow, step, cutLine(alike(run.CutTo(why.cause, maxCause)))}
	group := g.byCause[c]
	if group == nil {
		group = &inspect.FailureGroup{Workflow: c.workflow, Step: c.step, Error: c.text, First: r.EndedAt, Last: r.EndedAt}
		g.byCause[c] = group
	}
	g.runs++
	group.RunIDs = append(group.RunIDs, r.ID)
	if r.EndedAt.Before(group.First) {
		group.First = r.EndedAt
	}
	if r.EndedAt.After(group.Last) {
		group.Last = r.EndedAt
	}
}

func (g *failureGroups) all(more bool) inspect.Failures {
	all := inspect.Failures{Groups: []inspect.FailureGroup{}, Runs: g.runs, More: more}
	for _, group := range g.byCause {
		all.Groups = append(all.Groups, *group)
	}
	slices.SortFunc(all.Groups, func(a, b inspect.FailureGroup) int {
		return cmp.Or(cmp.Compare(len(b.RunIDs), len(a.RunIDs)), b.Last.Compare(a.Last), cmp.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Error, b.Error))
	})
	return all
}

// withDigits are words that have digits. One that is like code says what is wrong behind a text that ends
// like beforeCode, as in "HTTP 503".
var (
	withDigits = regexp.MustCompile(`[\pL\pN_-]*\pN(?:[\pL\pN_.:-]*[\pL\pN_-])?`)
	code       = regexp.MustCompile(`^(?:[0-9]{1,5}|[0-9A-Z]{5})$`)
	beforeCode = regexp.MustCompile(`(?i)\b(?:(?:http|status|code|sqlstate|errno)[ :=(]{1,2}|error )$`)
)

// alike is the same text for errors that differ in numbers and IDs at most.
func alike(text string) string {
	var b strings.Builder
	end := 0
	for _, word := range withDigits.FindAllStringIndex(text, -1) {
		if code.MatchString(text[word[0]:word[1]]) && beforeCode.MatchString(text[:word[0]]) {
			continue
		}
		b.WriteString(text[end:word[0]])
		b.WriteString("…")
		end = word[1]
	}
	b.WriteString(text[end:])
	return b.String()
}
