package scenario_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// What is asked of workers under load: a bit of everything, each run with a result
// that tells whether it went right.

// task is the input of all of it.
type task struct {
	Log     string // where steps record what they do
	N       int
	Channel string `json:",omitempty"`
}

var (
	errand  = workflow.Define("errand", doErrand)
	family  = workflow.Define("family", doFamily)
	nap     = workflow.Define("nap", takeNap)
	signoff = workflow.Define("signoff", waitForSignoff)
	talk    = workflow.Define("talk", listen)
	inbox   = workflow.Define("inbox", takeDeliveries)
)

var loadWorkflows = []workflow.Definition{errand, family, nap, signoff, talk, inbox}

// chore is a step that takes some milliseconds. Its result is the process that executed it.
func chore(ctx workflow.Context, name string, t task) error {
	_, err := workflow.Step(ctx, name, func(ctx context.Context) (int, error) {
		return os.Getpid(), act(ctx, t.Log, func() error { return busy(ctx, rand.N(20*time.Millisecond)) })
	})
	return err
}

// doErrand takes three steps.
func doErrand(ctx workflow.Context, t task) (int, error) {
	for _, name := range []string{"go", "buy", "return"} {
		if err := chore(ctx, name, t); err != nil {
			return 0, err
		}
	}
	return 2 * t.N, nil
}

// doFamily has two children run errands.
func doFamily(ctx workflow.Context, t task) (int, error) {
	first, second := errand.Go(ctx, t), errand.Go(ctx, t)
	if err := chore(ctx, "wait", t); err != nil {
		return 0, err
	}
	a, err := first.Wait(ctx)
	if err != nil {
		return 0, err
	}
	b, err := second.Wait(ctx)
	return a + b, err
}

// takeNap sleeps between two steps.
func takeNap(ctx workflow.Context, t task) (int, error) {
	if err := chore(ctx, "lie down", t); err != nil {
		return 0, err
	}
	if err := workflow.Sleep(ctx, time.Duration(t.N%10)*30*time.Millisecond); err != nil {
		return 0, err
	}
	return t.N, chore(ctx, "get up", t)
}

// waitForSignoff waits for one payload.
func waitForSignoff(ctx workflow.Context, t task) (string, error) {
	hook, err := workflow.NewHook[string](ctx)
	if err != nil {
		return "", err
	}
	defer hook.Close()
	text, err := hook.Wait(ctx)
	if err != nil {
		return "", err
	}
	return text, chore(ctx, "file", t)
}

// listen returns what was said in a channel, up to /stop.
func listen(ctx workflow.Context, t task) ([]string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token("talk:"+t.Channel))
	if err != nil {
		return nil, err
	}
	defer hook.Close()
	var said []string
	for text, err := range hook.All(ctx) {
		if err != nil {
			return nil, err
		}
		if text == "/stop" {
			break
		}
		said = append(said, text)
		if len(said)%3 == 0 {
			if err := chore(ctx, "note", t); err != nil {
				return nil, err
			}
		}
	}
	return said, nil
}

// delivery names the header that identifies a delivery to an inbox.
const delivery = "Delivery-Id"

// takeDeliveries returns the bodies of HTTP requests, up to "/stop". Of an odd run each
// is answered by hand: by every other from a step.
func takeDeliveries(ctx workflow.Context, t task) ([]string, error) {
	opts := []workflow.WebhookOption{workflow.DedupeHeader(delivery)}
	if t.N%2 == 1 {
		opts = append(opts, workflow.RespondManually())
	}
	hook, err := workflow.NewWebhook(ctx, opts...)
	if err != nil {
		return nil, err
	}
	defer hook.Close()
	var taken []string
	for r, err := range hook.All(ctx) {
		if err != nil {
			return nil, err
		}
		var text string
		if err := r.JSON(&text); err != nil {
			return nil, err
		}
		if t.N%2 == 1 {
			if err := reply(ctx, t, r, text, len(taken)); err != nil {
				return nil, err
			}
		}
		if text == "/stop" {
			break
		}
		if err := chore(ctx, "take in", t); err != nil {
			return nil, err
		}
		taken = append(taken, text)
	}
	return taken, nil
}

// reply answers a request with what it says.
func reply(ctx workflow.Context, t task, r *workflow.Request, text string, n int) error {
	resp := workflow.Text(http.StatusOK, "got "+text)
	if n%2 == 0 {
		return r.Respond(ctx, resp)
	}
	return workflow.Do(ctx, "answer", func(ctx context.Context) error {
		return act(ctx, t.Log, func() error { return r.Respond(ctx, resp) })
	})
}

// An asker is how the load asks for runs: an engine of the test's process, or engines of
// others.
type asker interface {
	workflow.Client
	Hooks(ctx context.Context, f inspect.HookFilter) ([]workflow.HookInfo, error)
}

// A load keeps asking, and keeps the chronicle of it.
type load struct {
	t      *testing.T
	api    asker
	fronts []*service // that serve webhooks; none: no webhooks are in the load
	chron  *chronicle
	log    string
	pace   time.Duration   // bounds the pauses between two requests of a caller
	over   context.Context //nolint:containedctx // ends when no more is to be asked
	all    sync.WaitGroup
}

const channels = 3

// begin has everything asked for at once, again and again, by callers who wait for the
// results: so nothing piles up when workers are slow.
func (l *load) begin() {
	for i := range 16 {
		l.loop(func(n int) {
			demand(l, errand, fmt.Sprintf("errand-%d-%d", i, n), n, 2*n)
		})
	}
	for i := range 6 {
		l.loop(func(n int) {
			demand(l, family, fmt.Sprintf("family-%d-%d", i, n), n, 4*n)
		})
		l.loop(func(n int) {
			demand(l, nap, fmt.Sprintf("nap-%d-%d", i, n), n, n)
		})
		l.loop(func(n int) { l.signOff(fmt.Sprintf("signoff-%d-%d", i, n), n) })
		if len(l.fronts) > 0 {
			l.loop(func(n int) { l.deliver(fmt.Sprintf("inbox-%d-%d", i, n), n) })
		}
	}
	for i := range 2 * channels {
		l.loop(func(n int) {
			if n%20 == 19 {
				if id := l.stop(i % channels); id != "" {
					l.await(id)
				}
			} else {
				l.say(i, n)
			}
		})
	}
}

// loop does something with rising numbers, and pauses for moments between.
func (l *load) loop(do func(i int)) {
	l.all.Go(func() {
		for i := 0; l.over.Err() == nil; i++ {
			do(i)
			select {
			case <-time.After(rand.N(l.pace)):
			case <-l.over.Done():
			}
		}
	})
}

// insist makes a call until it is answered, as a caller does who must know.
func (l *load) insist(what string, call func(ctx context.Context) error) {
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for since := time.Now(); ; {
		ctx, cancel := context.WithTimeout(l.t.Context(), 10*time.Second)
		err := call(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Since(since) > 10*time.Minute || l.t.Context().Err() != nil {
			l.t.Errorf("%s: %v", what, err)
			return
		}
		<-pause.C
	}
}

// demand starts a run that has to return a result, and waits for it.
func demand[Out any](l *load, w *workflow.Workflow[task, Out], id string, n int, result Out) {
	submit(l, w, id, n, result)
	l.await(id)
}

// submit starts a run that has to return a result.
func submit[Out any](l *load, w *workflow.Workflow[task, Out], id string, n int, result Out) {
	js, err := json.Marshal(result)
	if err != nil {
		l.t.Error(err)
		return
	}
	asked := l.chron.start(id, string(js))
	l.insist("start "+id, func(ctx context.Context) error {
		if _, err := w.Start(ctx, l.api, task{Log: l.log, N: n}, workflow.RunID(id)); err != nil && !errors.Is(err, workflow.ErrRunExists) {
			return err
		}
		l.chron.certainly(&asked.certain)
		return nil
	})
}

// await waits for a result, while there is more to be asked. Whether it is right will
// be seen in the database.
func (l *load) await(id string) {
	for l.over.Err() == nil {
		if _, err := workflow.Get[any](l.api, id).Result(l.over); err == nil {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-l.over.Done():
		}
	}
}

// signOff starts a run that waits for a payload, and sends it.
func (l *load) signOff(id string, n int) {
	text := "fine by me: " + id
	submit(l, signoff, id, n, text)
	token := l.token(id)
	p := l.chron.send(payload{text: text, token: token, key: id, sender: id})
	l.insist("sign off "+id, func(ctx context.Context) error {
		_, err := workflow.Resume(ctx, l.api, token, text, workflow.IdempotencyKey(id))
		if err == nil {
			l.chron.certainly(&p.certain)
		}
		return err
	})
	l.await(id)
}

// token waits for a run to have a hook.
func (l *load) token(id string) (token string) {
	l.insist("find the hook of "+id, func(ctx context.Context) error {
		hooks, err := l.api.Hooks(ctx, inspect.HookFilter{RunID: id})
		if err == nil && len(hooks) == 0 {
			err = errors.New("it has none")
		}
		if err == nil {
			token = hooks[0].Token
		}
		return err
	})
	return token
}

// deliver starts a run that takes HTTP requests, and sends it some.
func (l *load) deliver(id string, n int) {
	texts := []string{"first to " + id, "second to " + id, "third to " + id}
	submit(l, inbox, id, n, texts)
	token := l.token(id)
	for i, text := range texts {
		key := fmt.Sprint("delivery ", i)
		p := l.chron.send(payload{text: text, token: token, key: key, sender: id, number: i})
		if l.post(token, text, key, n) {
			l.chron.certainly(&p.certain)
		}
	}
	l.post(token, "/stop", "the last delivery", n)
	l.await(id)
}

// post sends an HTTP request until it is answered, and reports whether the answer is
// right. The connection breaks where the process is killed that holds it.
func (l *load) post(token, text, key string, n int) (right bool) {
	want, says := http.StatusAccepted, ""
	if n%2 == 1 {
		want, says = http.StatusOK, "got "+text
	}
	l.insist("post "+text, func(ctx context.Context) error {
		var front string
		if heard, err := l.fronts[rand.N(len(l.fronts))].try("Front", struct{}{}, &front); !heard || err != nil {
			return fmt.Errorf("find a front: %w", err)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, front+server.WebhookPath+token, strings.NewReader(strconv.Quote(text)))
		if err != nil {
			return err
		}
		req.Header.Set(delivery, key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		switch {
		case err != nil:
			return err
		case resp.StatusCode >= http.StatusInternalServerError: // the process stops, or its database fails
			return fmt.Errorf("the answer to %q is %s", text, resp.Status)
		}
		if right = resp.StatusCode == want && string(body) == says; !right {
			l.t.Errorf("the answer to %q is %s: %s", text, resp.Status, body)
		}
		return nil
	})
	return right
}

// say says something in a channel. Every third time nobody asks again what became of
// it.
func (l *load) say(sender, n int) {
	channel := fmt.Sprint(sender % channels)
	text := fmt.Sprintf("%d of sender %d", n, sender)
	p := payload{text: text, token: "talk:" + channel, sender: fmt.Sprint(sender), number: n}
	if n%3 != 0 {
		p.key = text
	}
	sent := l.chron.send(p)
	resume := func(ctx context.Context) error {
		opts := []workflow.ResumeOption{workflow.OrStart(talk, task{Log: l.log, Channel: channel})}
		if p.key != "" {
			opts = append(opts, workflow.IdempotencyKey(p.key))
		}
		_, err := workflow.Resume(ctx, l.api, p.token, text, opts...)
		if err == nil {
			l.chron.certainly(&sent.certain)
		}
		return err
	}
	if p.key != "" {
		l.insist("say "+text, resume)
		return
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), 10*time.Second)
	defer cancel()
	if err := resume(ctx); errors.Is(err, workflow.ErrHookNotFound) {
		l.chron.certainly(&sent.refused)
	}
}

// stop ends the run that listens to a channel, and returns its ID if there is one.
func (l *load) stop(channel int) (runID string) {
	l.insist("stop", func(ctx context.Context) error {
		info, err := workflow.Resume(ctx, l.api, fmt.Sprint("talk:", channel), "/stop")
		if errors.Is(err, workflow.ErrHookNotFound) {
			return nil
		}
		runID = info.RunID
		return err
	})
	return runID
}

// end waits until all has been asked for, and ends what would listen forever. Then it waits for the
// runs.
func (l *load) end(unfinished func() ([]string, error)) {
	l.t.Helper()
	l.all.Wait()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for since := time.Now(); ; <-tick.C {
		ids, err := unfinished()
		if err != nil {
			l.t.Fatal(err)
		}
		if len(ids) == 0 {
			return
		}
		if time.Since(since) > 10*time.Minute {
			l.t.Errorf("%d runs have not ended: %s", len(ids), strings.Join(ids[:min(10, len(ids))], ", "))
			return
		}
		for channel := range channels {
			l.stop(channel)
		}
	}
}
