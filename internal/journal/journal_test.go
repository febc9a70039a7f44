package journal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// pinned says what it means that a form of today differs from the one in this file.
const pinned = "\nDatabases have the form that the test wants. Keep it, and what reads it. " +
	"If it has to change, read both forms, and add a case: don't edit one."

var asks = []struct {
	ask  journal.Ask
	line string
}{
	{journal.Ask{Op: journal.Step, Ref: "charge#1"}, "step charge#1"},
	{journal.Ask{Op: journal.Step, Ref: "send mail#12"}, "step send mail#12"},
	{journal.Ask{Op: journal.Step, Ref: "child a#1 run b#1"}, "step child a#1 run b#1"},
	{journal.Ask{Op: journal.Child, Ref: "ship#1", RunID: "r.ship.1"}, "child ship#1 run r.ship.1"},
	{journal.Ask{Op: journal.Child, Ref: "ship it#2", RunID: "order 7"}, "child ship it#2 run order 7"},
	{journal.Ask{Op: journal.Child, Ref: "run x#3", RunID: "a#1 run b"}, "child run x#3 run a#1 run b"},
	{journal.Ask{Op: journal.Hook, Ref: "1"}, "hook 1"},
	{journal.Ask{Op: journal.Hook, Ref: "2", Token: "order:7"}, "hook 2 token order:7"},
	{journal.Ask{Op: journal.Hook, Ref: "3", Token: "order:7 again"}, "hook 3 token order:7 again"},
	{journal.Ask{Op: journal.Hook, Ref: "4", Token: " token "}, "hook 4 token  token "},
	{journal.Ask{Op: journal.Hook, Ref: "5", Name: "inbox"}, "hook 5 named inbox"},
	{journal.Ask{Op: journal.Hook, Ref: "1.6", Name: "my inbox"}, "hook 1.6 named my inbox"},
	{journal.Ask{Op: journal.Step, Ref: "charge#1.2"}, "step charge#1.2"},
	{journal.Ask{Op: journal.Child, Ref: "ship#3.1", RunID: "r.ship.3.1"}, "child ship#3.1 run r.ship.3.1"},
	{journal.Ask{Op: journal.Restart, Ref: "2"}, "restart 2"},
	{journal.Ask{Op: journal.Await, Ref: "1", RunID: "order-7"}, "await 1 run order-7"},
	{journal.Ask{Op: journal.Await, Ref: "1.2", RunID: "run run 1 run"}, "await 1.2 run run run 1 run"},
	{journal.Ask{Op: journal.Leave, Ref: "1"}, "leave 1"},
	{journal.Ask{Op: journal.Link, Ref: "1", Hook: "2", Key: "2026-11"}, "link 1 to 2 signed 2026-11"},
	{journal.Ask{Op: journal.Link, Ref: "1.3", Hook: "1.2", Key: "k"}, "link 1.3 to 1.2 signed k"},
	{journal.Ask{Op: journal.Revoke, Ref: "1"}, "revoke 1"},
	{journal.Ask{Op: journal.Close, Ref: "2"}, "close 2"},
	{journal.Ask{Op: journal.Drain, Ref: "2"}, "drain 2"},
	{journal.Ask{Op: journal.Pull, Ref: "2"}, "pull 2"},
	{journal.Ask{Op: journal.Sleep, Ref: "1", Until: time.Date(2026, 1, 2, 3, 4, 5, 60_000, time.UTC)}, "sleep 1 until 2026-01-02T03:04:05.000060Z"},
	{journal.Ask{Op: journal.Deadline, Ref: "2", Until: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, "deadline 2 until 2026-01-02T03:04:05.000000Z"},
	{journal.Ask{Op: journal.Stop, Ref: "2"}, "stop 2"},
	{journal.Ask{Op: journal.Patched, Ref: "fraud check"}, "patched fraud check"},
	{journal.Ask{Op: journal.Respond, Ref: "1", Request: "01h455vb4pex5vsknk084sn02q"}, "respond 1 to 01h455vb4pex5vsknk084sn02q"},
}

func TestAskIsPinned(t *testing.T) {
	t.Parallel()
	for _, tt := range asks {
		if got := tt.ask.String(); got != tt.line {
			t.Errorf("the line of %+v is %q, want %q: runs that have it in their journal would be blocked as non-deterministic%s", tt.ask, got, tt.line, pinned)
		}
		got, ok := journal.Parse(tt.line)
		if diff := cmp.Diff(tt.ask, got); !ok || diff != "" {
			t.Errorf("Parse(%q): %t (-want +got):\n%s%s", tt.line, ok, diff, pinned)
		}
		for _, other := range asks {
			recorded := other.ask
			ok := recorded.Match(tt.line)
			if same := other.line == tt.line; ok != same || same && !cmp.Equal(recorded, tt.ask) {
				t.Errorf("%q matches %q: %t, %s", other.line, tt.line, ok, recorded)
			}
		}
	}
	const want = "2006-01-02T15:04:05.000000Z"
	if got := (journal.Ask{Op: journal.Sleep, Ref: "1", Until: time.Date(2006, 1, 2, 15, 4, 5, 0, time.FixedZone("", 0))}).String(); got != "sleep 1 until "+want {
		t.Errorf("a time is %q, want %s", got, want)
	}
}

// The recorded time counts, and is not compared.
func TestMatchGoesByTheRecordedTime(t *testing.T) {
	t.Parallel()
	recorded := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a := journal.Ask{Op: journal.Sleep, Ref: "1", Until: recorded.Add(time.Hour)}
	for line, want := range map[string]time.Time{
		"sleep 1 until 2026-01-02T03:04:05.000000Z": recorded,
		"sleep 1 until tomorrow":                    a.Until,
	} {
		got := a
		if ok := got.Match(line); !ok || !got.Until.Equal(want) {
			t.Errorf("%q: %s, %t; want %s", line, got, ok, want)
		}
	}
}

// So does the recorded key, so that an engine that signs with another one goes on.
func TestMatchGoesByTheRecordedKey(t *testing.T) {
	t.Parallel()
	a := journal.Ask{Op: journal.Link, Ref: "1", Hook: "2", Key: "new"}
	if ok := a.Match("link 1 to 2 signed old"); !ok || a.Key != "old" {
		t.Errorf("%s, %t; want the key old", a, ok)
	}
}

func TestMatchRefusesWhatOnlyBeginsAlike(t *testing.T) {
	t.Parallel()
	token := journal.Ask{Op: journal.Hook, Ref: "1", Token: "order"}
	generated := journal.Ask{Op: journal.Hook, Ref: "1"}
	step := journal.Ask{Op: journal.Step, Ref: "charge#1"}
	child := journal.Ask{Op: journal.Child, Ref: "ship#1", RunID: "r"}
	for _, tt := range []struct {
		ask  journal.Ask
		line string
	}{
		{token, "hook 1 token order:7"},
		{token, "hook 1 token order "},
		{token, "hook 1 token orde"},
		{token, "hook 1"},
		{token, ""},
		{generated, "hook 1 token order"},
		{generated, "hook 12"},
		{generated, "hook 1 "},
		{step, "step charge#12"},
		{step, "step charge#"},
		{child, "child ship#1 run r2"},
		{child, "child ship#1"},
		{journal.Ask{Op: journal.Sleep, Ref: "1"}, "sleep 12 until 2026-01-02T03:04:05.000000Z"},
		{journal.Ask{Op: journal.Sleep, Ref: "1"}, "deadline 1 until 2026-01-02T03:04:05.000000Z"},
		{journal.Ask{Op: journal.Link, Ref: "1", Hook: "1", Key: "k"}, "link 1 to 12 signed k"},
		{journal.Ask{Op: journal.Link, Ref: "1", Hook: "1", Key: "k"}, "link 1 to 1"},
	} {
		if tt.ask.Match(tt.line) {
			t.Errorf("%q matches %q: a run would go on with code that asks for something else", tt.ask, tt.line)
		}
	}
}

func TestParseRefusesWhatIsNoAsk(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"", " ", "step", "step ", "hook", "hook ", "hook 1 ", "hook 1 token ", "hook 1 order:7", "close", "close 1 2", "drain 1 x",
		"child", "child ship#1", "child ship run r", "sleep 1", "sleep 1 until x", "sleep 1 until 2026-01-02T03:04:05Z", "respond 1 request", "jump 1",
	} {
		if a, ok := journal.Parse(line); ok {
			t.Errorf("Parse(%q) is %+v", line, a)
		}
	}
}

func TestAsksOfAnEvent(t *testing.T) {
	t.Parallel()
	var got []string
	for a := range journal.Asks("step charge#1\njump 3\nhook 1 token a b\nclose 1") {
		got = append(got, a.String())
	}
	if diff := cmp.Diff([]string{"step charge#1", "hook 1 token a b", "close 1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range journal.Asks("") {
		t.Error("an event that asked for nothing has an ask")
	}
}

// What is written can be read, and matches itself alone.
func TestAsksRoundTrip(t *testing.T) {
	t.Parallel()
	word := rapid.StringMatching(`[a-z]{1,3}( (run|token|to) )?[a-z]{0,2}`)
	draw := rapid.Custom(func(t *rapid.T) journal.Ask {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		a := journal.Ask{
			Op:  rapid.SampledFrom([]journal.Op{journal.Step, journal.Child, journal.Hook, journal.Close, journal.Sleep, journal.Respond}).Draw(t, "op"),
			Ref: strconv.Itoa(n),
		}
		switch a.Op { //nolint:exhaustive // the others have no more
		case journal.Step:
			a.Ref = journal.NumberedRef(word.Draw(t, "name"), rapid.IntRange(0, 2).Draw(t, "generation"), n)
		case journal.Child:
			a.Ref, a.RunID = journal.NumberedRef(word.Draw(t, "name"), rapid.IntRange(0, 2).Draw(t, "generation"), n), word.Draw(t, "id")
		case journal.Hook:
			a.Token = rapid.OneOf(rapid.Just(""), word).Draw(t, "token")
		case journal.Respond:
			a.Request = word.Draw(t, "request")
		case journal.Sleep:
			a.Until = time.UnixMicro(rapid.Int64Range(0, 1<<50).Draw(t, "until")).UTC()
		}
		return a
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		if got, ok := journal.Parse(a.String()); !ok || got != a {
			t.Fatalf("%q is parsed as %+v, %t", a, got, ok)
		}
		same := a
		same.Until = b.Until // is not compared
		before := a
		if ok := a.Match(b.String()); ok != (same == b) {
			t.Fatalf("%q matches %q: %t", before, b, ok)
		}
	})
}

func TestMatchDoesNotAllocate(t *testing.T) {
	lines := make([]string, len(asks))
	for i := range asks {
		lines[i] = asks[i].line
	}
	buf := make([]byte, 0, 1<<10)
	allocs := testing.AllocsPerRun(100, func() {
		for i, line := range lines {
			if !asks[i].ask.Match(line) {
				t.Fatal(line)
			}
			buf = asks[i].ask.Append(buf[:0])
		}
	})
	if allocs != 0 {
		t.Errorf("%.1f allocations to match and append %d asks, want none", allocs, len(asks))
	}
}

func TestRefsArePinned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ what, got, want, lost string }{
		{"step", journal.NumberedRef("charge", 0, 12), "charge#12", "runs would be blocked as non-deterministic"},
		{"step of a later generation", journal.NumberedRef("charge", 2, 1), "charge#2.1", "steps of two generations would have the same idempotency keys"},
		{"hook of a later generation", journal.HookID("r", journal.Number(2, 1)), "r.h2.1", "payloads would reach hooks of other generations"},
		{"step ID", journal.StepID("r", "charge#1"), "r/charge#1", "steps that are executed again would have other idempotency keys, and charge twice"},
		{"step ID", journal.StepID("a/b", "100 %#1"), "a/b/100 %#1", "steps that are executed again would have other idempotency keys, and charge twice"},
		{"step ID", journal.StepID("a", "b/c#1"), "a/b%2Fc#1", "steps that are executed again would have other idempotency keys, and charge twice"},
		{"responder", journal.ResponderID("r", "1"), "r/respond 1", "a response that is repeated after a crash would be a conflict with itself"},
		{"child's run", journal.ChildRunID("r", "ship it#1"), "r.ship it.1", "runs would be blocked as non-deterministic, and start children twice"},
		{"child's run", journal.ChildRunID("r", "a#2#1"), "r.a.2.1", "runs would be blocked as non-deterministic, and start children twice"},
		{
			"a descendant's run", journal.ChildRunID(strings.Repeat("a.b.1.", 85), "c#1"),
			strings.Repeat("a.b.1.", 85)[:200] + "~3KQXBw9j9uDqZ1wFnoIOPg~" + (strings.Repeat("a.b.1.", 85) + ".c.1")[314:],
			"runs would be blocked as non-deterministic, and start children twice",
		},
		{"hook", journal.HookID("r", "1"), "r.h1", "payloads would not find their hooks"},
		{"reserved hook", journal.ReservedHookID("r"), "r.h0", "payloads that have started runs would not find their hooks"},
		{"hook's number", journal.HookNumber("r", "r.h12"), "12", ""},
		{"hook's number", journal.HookNumber("r", "q.h12"), "q.h12", ""},
		{"ID in an event", string(journal.EncodeID(`r"1`)), `"r\"1"`, "hooks and conflicts could not be read"},
		{"ID in an event", journal.DecodeID([]byte(`"r\"1"`)), `r"1`, "hooks and conflicts could not be read"},
		{"damaged ID", journal.DecodeID([]byte(`r"1`)), `r"1`, ""},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q: %s%s", tt.what, tt.got, tt.want, tt.lost, pinned)
		}
	}
}

// Different steps have different IDs, whatever characters are in the names.
func TestStepIDsDiffer(t *testing.T) {
	t.Parallel()
	name := rapid.StringOfN(rapid.SampledFrom([]rune("a%25F/")), 1, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		type step struct{ run, ref string }
		x, y := step{name.Draw(t, "run"), name.Draw(t, "ref")}, step{name.Draw(t, "other run"), name.Draw(t, "other ref")}
		if x != y && journal.StepID(x.run, x.ref) == journal.StepID(y.run, y.ref) {
			t.Fatalf("%+v and %+v are both %q", x, y, journal.StepID(x.run, x.ref))
		}
	})
}

// However deep the descent, an ID is a valid name, no other descendant has it, and it tells the
// first ancestor and the workflow itself.
func TestChildRunIDsStayNames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOfN(rapid.RuneFrom(nil, unicode.L, unicode.N), 1, 100, run.MaxName)
		root := name.Draw(t, "root")
		ids := []string{root}
		seen := map[string]bool{root: true}
		for range rapid.IntRange(1, 300).Draw(t, "depth") {
			ref := journal.NumberedRef(name.Draw(t, "workflow"), rapid.IntRange(0, 2).Draw(t, "generation"), rapid.IntRange(1, 3).Draw(t, "number"))
			id := journal.ChildRunID(ids[len(ids)-1], ref)
			if bad := run.BadName(id, run.MaxName); bad != "" {
				t.Fatalf("%q, the child %s of %q: %s", id, ref, ids[len(ids)-1], bad)
			}
			if seen[id] {
				t.Fatalf("two descendants of %q are %q", root, id)
			}
			kept := func(s string) string { return s[:min(len(s), 196)] }
			if !strings.HasPrefix(id, kept(root)) || len(ref) < 190 && !strings.HasSuffix(id, strings.ReplaceAll(ref, "#", ".")) {
				t.Fatalf("%q does not tell %q and %s", id, root, ref)
			}
			seen[id], ids = true, append(ids, id)
		}
	})
}

// The secret of a run is in its row. What derives from it is in mails, in the hands of
// senders, and in other systems.
func TestDerivationsArePinned(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte("0123456789abcdef"), 2)
	const lost = "senders would hold tokens that nobody knows, IDs that were handed out would change at the next replay, " +
		"and code that decided by a random number would be blocked as non-deterministic"
	for _, tt := range []struct {
		n               uint64
		token, id, rand string
	}{
		{1, "mn7s8ouXMdbddMZqxNXcR2N58v1xno77", "546d49d9-79d8-8a91-8150-06e3a24717c5", "5771803762045589800 79 0.017878295092602525"},
		{2, "ilJjN3_IEc7JyEloTjqDe3c4iWK3eRVE", "09abdb9b-599c-861f-8ca8-099cd0924f1f", "777164080969165539 1 0.723842415507707"},
		{3, "kVj88Hb49E_qd5rL_CUOzu8rfK6P7rGw", "cbdbfe47-1f8b-8dd1-b341-f89f60fad508", "11580747808447175877 85 0.8765542422006634"},
		{255, "j9NJAp-mJ7nWJrV27B-ssjTnwG4XN74R", "a56d4a23-d9dc-8cb5-8b98-b5d4ec4ad1b7", "8627537600068288570 29 0.8279232541629201"},
		{256, "30E4Bl_ONOWYQuOuFIDsx_Jf14gi7U74", "d9550cbb-b8e2-8e35-af74-64bffc410768", "16230720171436339042 83 0.7340405158592527"},
		{1099511627776, "9uwidgMCEDuMt8TU3zrOa_1v5pmzW2LA", "3c37c025-d661-8ef4-ad54-5db70e50a193", "5846520918561052146 42 0.459411038664694"},
	} {
		token := journal.Token(journal.Derive(secret, journal.LabelToken, tt.n))
		id := journal.ID(journal.Derive(secret, journal.LabelID, tt.n))
		r := journal.Rand(journal.Derive(secret, journal.LabelRand, tt.n))
		drawn := fmt.Sprint(r.Uint64(), r.IntN(100), r.Float64())
		if got := []string{token, id, drawn}; !reflect.DeepEqual(got, []string{tt.token, tt.id, tt.rand}) {
			t.Errorf("derived for %d: %q, want %q: %s%s", tt.n, got, []string{tt.token, tt.id, tt.rand}, lost, pinned)
		}
	}
}

func TestFailuresArePinned(t *testing.T) {
	t.Parallel()
	f := journal.Failure{
		Text: "declined", Is: []string{journal.IsCanceled, journal.IsDeadlineExceeded, journal.IsRunCanceled, journal.IsRunTerminated}, Attempts: 3,
		As: []journal.Typed{
			{Type: journal.AsStep, Step: "charge#1", Attempts: 4, Cause: &journal.Failure{Text: "declined"}},
			{Type: journal.AsPanic, At: "a.go:7", Stack: "main.f"},
			{Type: journal.AsRun, RunID: "r", Workflow: "w"},
			{Type: journal.AsConflict, Token: "t", HookID: "r.h1", Relation: journal.Itself},
			{Type: journal.AsExists, Relation: journal.Parent},
			{Type: journal.AsPayload, Relation: journal.Kid},
			{Type: journal.AsInput},
			{Type: journal.AsHookType, Want: "a", Got: "b"},
			{Type: journal.AsRefused, Reason: "it runs"},
		},
	}
	const form = `{"error":"declined","is":["context.Canceled","context.DeadlineExceeded","run canceled","run terminated"],` +
		`"as":[{"type":"step","step":"charge#1","attempts":4,"cause":{"error":"declined"}},` +
		`{"type":"panic","at":"a.go:7","stack":"main.f"},{"type":"run","run_id":"r","workflow":"w"},` +
		`{"type":"hook_conflict","token":"t","hook_id":"r.h1","relation":"itself"},{"type":"run_exists","relation":"parent"},` +
		`{"type":"payload","relation":"child"},{"type":"input"},{"type":"hook_type","want":"a","got":"b"},` +
		`{"type":"retry_refused","reason":"it runs"}],"attempts":3}`
	if got := string(f.Encode()); got != form {
		t.Errorf("a failure is\n%s\nwant\n%s\nruns would see errors without what was recorded of them, and take other turns%s", got, form, pinned)
	}
	if diff := cmp.Diff(f, journal.DecodeFailure([]byte(form))); diff != "" {
		t.Errorf("a failure is read as (-want +got):\n%s%s", diff, pinned)
	}
	r := journal.Retry{Failure: f, RetryAt: time.Date(2026, 1, 2, 3, 4, 5, 60_000, time.UTC), MaxAttempts: 5}
	retry := strings.TrimSuffix(form, "}") + `,"retry_at":"2026-01-02T03:04:05.00006Z","max_attempts":5}`
	if got := string(r.Encode()); got != retry {
		t.Errorf("a retry is\n%s\nwant\n%s\nsteps would forget how often they have failed and when they are due%s", got, retry, pinned)
	}
	read, err := journal.DecodeRetry([]byte(retry))
	if diff := cmp.Diff(r, read); err != nil || diff != "" {
		t.Errorf("a retry is read as (-want +got):\n%s, %v%s", diff, err, pinned)
	}
}

func TestDamagedFailures(t *testing.T) {
	t.Parallel()
	if f := journal.DecodeFailure([]byte("dis\xffk")); f.Text != "dis�k" {
		t.Errorf("a damaged failure is %+v", f)
	}
	if r, err := journal.DecodeRetry([]byte("{")); err == nil || r.Text != "{" {
		t.Errorf("a damaged retry is %+v, %v", r, err)
	}
}

// The texts are those that stores may have.
func TestReasonsArePinned(t *testing.T) {
	t.Parallel()
	diverged := journal.Divergence{Position: 3, Event: "step_completed charge#1", Recorded: "hook 1 token a", Caller: "main.go:7"}
	const lost = "advice and codes of runs that are blocked would be lost"
	for _, tt := range []struct {
		today, stored string
		code          journal.Code
		word          string
	}{
		{journal.ReasonNoWorker(), "no worker is live", journal.NoWorker, "no_worker"},
		{journal.ReasonNoWorkflow("w"), `no live worker has the workflow "w"`, journal.NoWorkflow, "no_workflow"},
		{journal.ReasonNoVersion(2, "w"), `no live worker has version 2 of the workflow "w"`, journal.NoVersion, "no_version"},
		{journal.ReasonNoDefinition("w"), "this worker does not have the workflow w", journal.NoDefinition, "no_definition"},
		{journal.ReasonKilledWorkers(3), "its workflow code killed its worker 3 times", journal.KilledWorkers, "killed_workers"},
		{
			journal.ReasonNoPublicURL(), "it opens a webhook, and the engine has no Options.PublicURL to make its URL from",
			journal.NoPublicURL, "no_public_url",
		},
		{
			journal.ReasonNoSender("v"), `it opens a webhook with verifier "v", which is not in Options.Verifiers`,
			journal.NoSender, "no_sender",
		},
		{
			journal.ReasonNoAnswerKeys(), "it makes a link to an answer page, and the engine has no Options.AnswerKeys to sign it with",
			journal.NoAnswerKeys, "no_answer_keys",
		},
		{
			journal.ReasonNoHookType("t"), `it makes a link to an answer page for a hook of type "t", which is not in Options.Hooks`,
			journal.NoHookType, "no_hook_type",
		},
		{
			diverged.Reason(), `the code is non-deterministic: after event 3 (step_completed charge#1) the journal has "hook 1 token a", ` +
				"and the code asked for nothing more, at main.go:7; deploy code that makes the recorded calls, keep the old code as a version of its own, or terminate the run",
			journal.NonDeterministic, "non_deterministic",
		},
		{"the moon", "the moon", journal.Unknown, "unknown"},
	} {
		if got := journal.ReasonCode(tt.stored); got != tt.code || string(got) != tt.word {
			t.Errorf("%q has the code %s, want %s: %s", tt.stored, got, tt.code, lost)
		}
		if got := journal.ReasonCode(tt.today); got != tt.code {
			t.Errorf("%q, as it is today, has the code %s, want %s", tt.today, got, tt.code)
		}
		if unattended := strings.HasPrefix(tt.stored, "no "); tt.code.Unattended() != unattended {
			t.Errorf("%q: Unattended is %t", tt.stored, !unattended)
		}
	}
}

// The names of defined errors are in recorded errors, by which errors.Is knows them.
func TestErrorNamesArePinned(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		workflow.ErrHookNotFound: "hook not found", workflow.ErrHookClosed: "hook is closed", workflow.ErrRunNotFound: "run not found",
		workflow.ErrRunExists: "run exists", workflow.ErrRunEnded: "run has ended", workflow.ErrCanceled: "run canceled",
		workflow.ErrTerminated: "run terminated", workflow.ErrPayloadTooLarge: "payload is too large", workflow.ErrOutcomeUnknown: "outcome is unknown",
		workflow.ErrAlreadyResponded: "already responded", workflow.ErrInvalidName: "invalid name", workflow.ErrUnknownWorkflow: "unknown workflow",
		workflow.ErrEngineClosed: "engine is closed", workflow.ErrInvalidToken: "invalid token",
	} {
		if err.Error() != want {
			t.Errorf("a defined error has the name %q, want %q: code would no longer know it in what was recorded%s", err, want, pinned)
		}
	}
}

// A fork finds what it has from its origin by these forms.
func TestForksArePinned(t *testing.T) {
	t.Parallel()
	f := journal.Forked{RunID: "o", Position: 7, Step: "charge#1", Fork: "f"}
	if got, want := string(f.Encode()), `{"run_id":"o","position":7,"step":"charge#1","fork":"f"}`; got != want {
		t.Errorf("the data of a fork is %s, want %s%s", got, want, pinned)
	}
	if got := journal.DecodeForked(f.Encode()); got != f {
		t.Errorf("it is read as %+v", got)
	}
	origin, err := json.Marshal(store.Origin{RunID: "o", Position: 7, Step: "charge#1", Prefix: []store.Ancestor{
		{RunID: "p", ParentID: "q", Secret: []byte("secret"), Last: 3}, {RunID: "o", Secret: []byte("secret"), Last: 7},
	}})
	if want := `{"run_id":"o","position":7,"step":"charge#1","prefix":[{"run_id":"p","parent_id":"q","secret":"c2VjcmV0","last":3},` +
		`{"run_id":"o","secret":"c2VjcmV0","last":7}]}`; err != nil || string(origin) != want {
		t.Errorf("an origin is stored as %s, want %s%s; %v", origin, want, pinned, err)
	}
	for id, want := range map[string]string{"r.h1": "h1", "r.h1.3": "h1.3", "r.h0": "h0", "a.hb.h2": "h2", "a/b": "a/b"} {
		if got := journal.HookRef(id); got != want {
			t.Errorf("hook %s has the reference %q, want %q", id, got, want)
		}
	}
	for id, want := range map[string]string{"o.ship.1": "f.ship.1", "chosen": "chosen"} {
		if got := journal.ForkedChildID("f", "ship#1", id); got != want {
			t.Errorf("child %s is %s in the fork, want %s", id, got, want)
		}
	}
}

// What stores put into the references of events about awaits is read by this package.
func TestToldIsPinned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sub      store.Subscription
		workflow string
		want     string
	}{
		{store.Subscription{Ref: "1", Target: "order-7"}, "ship", "1 of ship run order-7"},
		{store.Subscription{Ref: "1.2", Target: "order-7"}, "", "1.2 run order-7"},
		{store.Subscription{Ref: "3", Target: "a run b"}, "a of x run a", "3 of a of x run a run a run b"},
		{store.Subscription{Ref: "4", Target: "of x run b"}, "", "4 run of x run b"},
	} {
		got := tt.sub.Told(tt.workflow)
		if got != tt.want {
			t.Errorf("the reference is %q, want %q%s", got, tt.want, pinned)
		}
		if number := journal.Awaited(got); number != tt.sub.Ref {
			t.Errorf("%q is about await %q, want %q", got, number, tt.sub.Ref)
		}
		if workflow, ok := journal.AwaitedWorkflow(got, tt.sub.Target); !ok || workflow != tt.workflow {
			t.Errorf("%q is about workflow %q, %t; want %q", got, workflow, ok, tt.workflow)
		}
		for _, other := range []string{"order", "7", "b ", "run b"} {
			if workflow, ok := journal.AwaitedWorkflow(got, other); ok {
				t.Errorf("%q is about run %q of %q, and should not be", got, other, workflow)
			}
		}
	}
}
