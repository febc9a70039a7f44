package engine_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// Golden journals are what databases out there have. For each construct there is one, and
// today's code has to replay it, and to record the same. Files are never edited: -update
// writes those that are missing, under a new name where there is one already.
var updateGolden = flag.Bool("update", false, "write golden journals that are not there: for a new construct, or for what a construct records now")

const goldenDir = "testdata/golden"

// goldenSecret is what tokens, IDs and random numbers of a golden run derive from.
func goldenSecret(runID string) []byte {
	return []byte(runID + "0123456789abcdef0123456789abcdef")[:32]
}

// goldenStart is when golden runs begin: time in a bubble begins then.
var goldenStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// goldenPause lies between the beginning of a run and its end.
const goldenPause = 30 * time.Second

// construct is a construct of workflow code, as one run uses it or a few.
type construct struct {
	name string // of its run and its workflow, and the beginning of all its tokens
	// schema is that of the first fixture databases that have its runs; 0: all have them.
	schema int
	// runs are further runs whose journals are golden too.
	runs []string
	// define makes its workflows, the run's own first.
	define func(w *stage) []workflow.Definition
	// old are its workflows when the run begins, if they are others.
	old func(w *stage) []workflow.Definition
	// begin brings the run to its middle, where fixture databases have it.
	begin func(w *stage)
	// finish brings it to its end.
	finish func(w *stage)
}

// stage is what happens to the runs of a construct from outside.
type stage struct {
	*testing.T
	eng *engine.Engine
	st  store.Store
	db  workflow.Transactor[*sqlite.Conn] // of the application
	// rest lets everything happen that can; pass lets time pass before.
	rest   func()
	pass   func(d time.Duration)
	real   bool          // time is real
	again  time.Duration // after that failed steps are attempted again
	mended bool          // what was broken while runs began
}

// start starts a run, with what derives from its secret as in all golden runs.
func (w *stage) start(id, workflow string, input string) {
	w.Helper()
	err := w.st.Start(w.Context(), store.NewRun{ID: id, Workflow: workflow, Input: []byte(input), Secret: goldenSecret(id)})
	if err != nil {
		w.Fatal(err)
	}
	w.rest()
}

// until tries something until it is so. With fake time it is so at once, or never.
func (w *stage) until(what string, try func() (bool, error)) {
	w.Helper()
	for since := time.Now(); ; {
		ok, err := try()
		switch {
		case err != nil:
			w.Fatalf("%s: %v", what, err)
		case ok:
			return
		case !w.real || time.Since(since) > 5*time.Minute:
			w.Fatalf("%s: it never comes to that", what)
		}
	}
}

// resume sends a payload, as soon as the hook is open.
func (w *stage) resume(token string, payload any, opts ...workflow.ResumeOption) {
	w.Helper()
	w.until(fmt.Sprintf("resume %q", token), func() (bool, error) {
		_, err := workflow.Resume(w.Context(), w.eng, token, payload, opts...)
		if errors.Is(err, workflow.ErrHookNotFound) {
			return false, nil
		}
		return true, err
	})
	w.rest()
}

// publish publishes to the golden topic, as soon as somebody listens.
func (w *stage) publish(subject, payload string) {
	w.Helper()
	w.until(fmt.Sprintf("publish to %q", subject), func() (bool, error) {
		p, err := goldenTopic.Publish(w.Context(), w.eng, subject, payload)
		return p.Listeners > 0, err
	})
	w.rest()
}

// generated returns the token of the n-th hook of a run, as soon as it is open.
func (w *stage) generated(runID string, n int) (token string) {
	w.Helper()
	return w.token(runID, journal.HookID(runID, strconv.Itoa(n)))
}

// token returns the token of a hook of a run, as soon as it is open.
func (w *stage) token(runID, id string) (token string) {
	w.Helper()
	w.until("hook "+id, func() (bool, error) {
		hooks, err := w.eng.Hooks(w.Context(), inspect.HookFilter{RunID: runID})
		for _, h := range hooks {
			if h.ID == id {
				token = h.Token
			}
		}
		return token != "", err
	})
	return token
}

// request sends an HTTP request to the n-th hook of a run and returns the answer.
func (w *stage) request(runID string, n int, body string) string {
	w.Helper()
	hook, err := w.eng.Webhook(w.Context(), w.generated(runID, n))
	if err != nil {
		w.Fatal(err)
	}
	r := &workflow.Request{Method: "POST", URL: mustURL("/hook?q=1"), Host: "example.com", Header: map[string][]string{"X-Golden": {"yes"}}, Body: []byte(body)}
	resp, err := hook.Deliver(w.Context(), r)
	if err != nil {
		w.Fatal(err)
	}
	w.rest()
	return string(resp.Body)
}

// call sends a request to the call of a run and returns the answer.
func (w *stage) call(runID, input string) string {
	w.Helper()
	a, err := w.eng.CallHook(w.Context(), workflow.CallRequest{Token: w.generated(runID, 1), Input: []byte(input)})
	if err != nil {
		w.Fatal(err)
	}
	w.rest()
	return string(a.Output) + string(a.Error)
}

// goldenOptions are those of the engine that executes golden runs.
func goldenOptions(defs []workflow.Definition) engine.Options {
	return engine.Options{Workflows: defs, Hooks: []workflow.HookDefinition{goldenHook}, PublicURL: "https://example.com", AnswerKeys: answerKeys}
}

func TestGoldenJournals(t *testing.T) {
	t.Parallel()
	var known []string
	for _, c := range constructs {
		known = append(known, c.all()...)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inBank(t, func(t *testing.T, b *bank) {
				w := b.stage(t)
				defs := c.define(w)
				b.run(goldenOptions(c.before(w)))
				w.eng = b.eng
				c.begin(w)
				b.finish(w, &c, defs)
				for _, id := range c.all() {
					replayGolden(t, b.eng, id)
				}
			})
		})
	}
	for _, path := range goldenFiles(t, "*") {
		if name := goldenName(path); !slices.Contains(known, name) {
			t.Errorf("%s is of the run %q, which no construct has: what was recorded can't be given up", path, name)
		}
	}
}

// all are the runs whose journals are golden.
func (c *construct) all() []string { return append([]string{c.name}, c.runs...) }

// before are its workflows when the run begins.
func (c *construct) before(w *stage) []workflow.Definition {
	if c.old != nil {
		return c.old(w)
	}
	return c.define(w)
}

// stage is one with fake time.
func (b *bank) stage(t *testing.T) *stage {
	return &stage{T: t, st: b.store, db: b, rest: synctest.Wait, pass: b.advance, again: time.Minute}
}

// finish brings the runs of a construct to their end, and compares what they have recorded.
func (b *bank) finish(w *stage, c *construct, defs []workflow.Definition) {
	w.Helper()
	w.mended = true
	b.run(goldenOptions(defs))
	w.eng = b.eng
	b.advance(time.Until(goldenStart.Add(goldenPause))) // however long it took to stop
	c.finish(w)
	w.rest()
	for _, id := range c.all() {
		l, err := b.store.Load(w.Context(), id, 0)
		if err != nil {
			w.Fatalf("run %s: %v", id, err)
		}
		checkRecorded(w.T, id, anonymous(formatGolden(l)))
	}
}

// goldenFiles are the journals of a run, the newest last.
func goldenFiles(t *testing.T, run string) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{run + ".journal", run + "@*.journal"} {
		more, err := filepath.Glob(filepath.Join(goldenDir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// goldenName is the run that a file is of: "steps" of steps.journal and of steps@2.journal.
func goldenName(path string) string {
	name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".journal"), "@")
	return name
}

// checkRecorded compares what a run has recorded with the newest of its golden journals.
func checkRecorded(t *testing.T, run, recorded string) {
	t.Helper()
	files := goldenFiles(t, run)
	if len(files) > 0 {
		newest := files[len(files)-1]
		golden := readGolden(t, newest)
		diff := cmp.Diff(strings.Split(alike(golden), "\n"), strings.Split(alike(recorded), "\n"))
		if diff == "" {
			return
		}
		if !*updateGolden {
			t.Errorf("run %s records another journal than %s (-golden +now):\n%s\n%s", run, newest, diff, advice(
				"If what is written has another form, binaries and databases of before can't read it, and runs are blocked as non-deterministic or lose "+
					"what was recorded of them. Give back the old form; a form is never changed, but gets a successor, which is read beside it.",
				"If only the order or the choice of events is another one, and the journals that are there still replay, then -update "+
					"adds the new one beside them."))
			return
		}
	} else if !*updateGolden {
		t.Errorf("there is no golden journal of run %s: go test ./engine -run TestGoldenJournals -update writes one; read it before it is committed", run)
		return
	}
	path := filepath.Join(goldenDir, run+".journal")
	if n := len(files); n > 0 {
		path = filepath.Join(goldenDir, fmt.Sprintf("%s@%d.journal", run, n+1))
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) // it is never overwritten
	if err == nil {
		_, err = f.WriteString(recorded)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is new", path)
}

// replayGolden replays all golden journals of a run under today's code.
func replayGolden(t *testing.T, eng *engine.Engine, run string) {
	t.Helper()
	for _, path := range goldenFiles(t, run) {
		l, err := parseGolden(readGolden(t, path))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		last := l.Events[len(l.Events)-1]
		got, err := eng.Replay(l)
		if err == nil {
			err = eng.Repeat(l)
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", path, err, advice(
				"Runs in databases out there that have come to this point would be blocked as non-deterministic by the next deploy.",
				"Let the code of the engine ask for what is recorded, in the same form and order."))
			continue
		}
		want, is := string(last.Data), ""
		switch {
		case last.Kind == store.RunCompleted:
			is = string(got.Result)
		case got.Failure != nil:
			want, is = journal.DecodeFailure(last.Data).Text, got.Failure.Text
		}
		if terminated := last.Kind == store.RunCanceled && !got.Finished; got.Finished == terminated || want != is && !terminated {
			t.Errorf("%s: the replay has come to\n%s\nthe journal has\n%s\n%s", path, is, want, advice(
				"Tokens, IDs, random numbers, times or errors are others than the code has seen: senders would hold tokens that nobody knows, "+
					"what was handed out would not be found again, and the code would go other ways than it has gone.",
				"Derive and read them as before."))
		}
	}
}

func advice(happens, instead string) string {
	return "WHAT WOULD HAPPEN: " + happens + "\nINSTEAD: " + instead
}

func readGolden(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")))
}

// A golden journal says that code asks for something else, also if that begins alike.
func TestGoldenTokensAreComparedWhole(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		asks := func(token string) workflow.Definition {
			return workflow.Define("hooks", func(ctx workflow.Context, _ string) (string, error) {
				_, err := workflow.NewHook[string](ctx, workflow.Token(token))
				return "", err
			})
		}
		golden, err := parseGolden(readGolden(t, filepath.Join(goldenDir, "hooks.journal")))
		if err != nil {
			t.Fatal(err)
		}
		golden.Events = golden.Events[:1]
		token := strings.TrimPrefix(golden.Events[0].Asked, "hook 1 token ")
		for code, replays := range map[string]bool{token: true, token[:len(token)-1]: false, token + "x": false, token + " ": false} {
			l.run(engine.Options{}, asks(code))
			if blocked := l.eng.Rebuild(golden); (blocked == "") != replays {
				t.Errorf("the journal has the token %q; code that asks for %q: %q", token, code, blocked)
			}
		}
	})
}

// What is golden can be read back.
func TestGoldenFormat(t *testing.T) {
	t.Parallel()
	for _, path := range goldenFiles(t, "*") {
		text := readGolden(t, path)
		l, err := parseGolden(text)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if diff := cmp.Diff(text, formatGolden(l)); diff != "" {
			t.Errorf("%s is read as something else (-file +read):\n%s", path, diff)
		}
	}
	for _, s := range []string{"", "a", " a", "a\n", `quoted "a"`, "ß", "\x00\xff"} {
		if got, err := unquoteGolden(quoteGolden(s)); err != nil || got != s {
			t.Errorf("%q is read as %q, %v", s, got, err)
		}
	}
}
