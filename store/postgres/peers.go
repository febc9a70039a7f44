package postgres

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/store"
)

const (
	// heartbeat is how often a process says that it listens. One that was not heard for three
	// of them is gone.
	heartbeat = 10 * time.Second

	// pollSlowdown is how much less often the database is polled when notifications come.
	pollSlowdown = 10

	// maxNotice is how long a notification may be, in bytes of JSON: PostgreSQL takes less than
	// 8,000.
	maxNotice = 7500

	// maxTurn and turnTime bound the runs in a row that a process sends to the same worker: many at
	// a time share its transactions, and all workers shall get some.
	maxTurn  = 32
	turnTime = 50 * time.Millisecond

	// maxResult is how large a result may be to travel in a notification, in bytes.
	maxResult = 2 << 10

	// gather is how long what this process has committed waits for what it commits next, for each
	// of the operations that it has at a time, so that others are notified of both at once: a
	// notification wakes all processes.
	gather    = 150 * time.Microsecond
	maxGather = 10 * time.Millisecond

	// maxPending is how much waits to be sent before it is said in short.
	maxPending = 10_000

	// noNotifyPause is how long a process does not listen where notifications never came. Through a
	// PgBouncer each try leaves a connection to the server that listens.
	noNotifyPause = 5 * time.Minute

	// notifyTimeout is how long a process tries to notify others.
	notifyTimeout = 5 * time.Second
)

// notice is what processes tell each other, as JSON in a notification.
type notice struct {
	From      string   `json:"from"`
	Here      bool     `json:"here,omitempty"`   // I listen
	Awaits    bool     `json:"awaits,omitempty"` // and await what others end or answer
	Claims    string   `json:"works,omitempty"`  // and claim runs: a digest of which
	Knows     string   `json:"knows,omitempty"`  // who listens, or awaits, as I know from now on
	Mail      []string `json:"mail,omitempty"`
	Sticky    int      `json:"sticky,omitempty"` // so many of Mail, from the first, order the workers each for itself
	Turn      string   `json:"turn,omitempty"`   // orders the workers for the rest; empty: the first run of Mail does
	Ended     []string `json:"ended,omitempty"`
	Results   []result `json:"results,omitempty"` // of other runs that ended
	Responded []string `json:"responded,omitempty"`
	Untold    []string `json:"untold,omitempty"`
	Behind    []string `json:"behind,omitempty"`
	Late      []string `json:"late,omitempty"` // processes that have not claimed what they were to
	All       bool     `json:"all,omitempty"`
}

// result is how a run has ended.
type result struct {
	Run      string       `json:"run"`
	Workflow string       `json:"workflow"`
	Status   store.Status `json:"status"`
	Data     []byte       `json:"data,omitempty"`
}

// peers are the other processes that have the schema open. What this one commits is
// announced if any of them listens, and what it ends or answers if any of them awaits
// such: after the commit, because a notification in the transaction would have all commits
// of the server wait for each other.
//
// A process that begins to listen or to await says so. Each of the others tells it when it
// knows; then it looks at everything, since until then it may not have been told.
type peers struct {
	s       *Store
	conf    *pgx.ConnConfig
	channel string
	id      string
	wake    chan struct{}

	mu          sync.Mutex
	pending     store.Signal
	gathering   bool // the sender will be woken
	sending     sending
	seen        map[string]peer
	listening   bool              // notifications come
	since       time.Time         // that is so
	awaiting    int               // how many here await what others end or answer
	awaited     time.Time         // when that became none
	awaits      bool              // the others are told, or to be told, that somebody does
	unannounced bool              // they are to be told
	claims      map[string]claims // by worker
	late        bool              // this process was late to claim, and has claimed nothing since
	lateOnes    []string          // processes of which the others are to be told that they were late
	left        map[string]string // to which process runs were left

	announcing sync.Mutex // held while announceSelf says what is so
}

// peer is another process.
type peer struct {
	heard  time.Time // when it last said that it listens
	awaits bool
	claims string // a digest of what it claims; empty: nothing
	late   bool   // it was late to claim, and has not said since that it claims
}

// gone reports whether it was not heard for too long.
func (p peer) gone() bool { return time.Since(p.heard) >= 3*heartbeat }

func newPeers(s *Store, conf *pgx.ConnConfig) *peers {
	return &peers{
		s: s, conf: conf, channel: s.opts.Schema, id: rand.Text()[:10],
		wake: make(chan struct{}, 1), seen: make(map[string]peer), claims: make(map[string]claims), left: make(map[string]string),
	}
}

func (p *peers) start(ctx context.Context, tasks *sync.WaitGroup) {
	tasks.Go(func() { p.listen(ctx) })
	tasks.Go(func() { p.send(ctx) })
	tasks.Go(func() { p.poll(ctx) })
}

// announce has the other processes told, what was ended or answered only if it is for
// everybody or awaited; later means that it can wait for more. It does not wait itself.
func (p *peers) announce(sig store.Signal, everybody bool, later time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	listens, awaits := p.audience()
	if !awaits && !everybody {
		sig.Ended, sig.Results, sig.Responded = nil, nil, nil
	}
	if !listens || !sig.All && len(sig.Mail)+len(sig.Ended)+len(sig.Responded)+len(sig.Untold)+len(sig.Behind) == 0 {
		return
	}
	p.pending.Mail = append(p.pending.Mail, sig.Mail...)
	p.pending.Ended = append(p.pending.Ended, sig.Ended...)
	p.pending.Results = append(p.pending.Results, sig.Results...)
	p.pending.Responded = append(p.pending.Responded, sig.Responded...)
	p.pending.Untold = append(p.pending.Untold, sig.Untold...)
	p.pending.Behind = append(p.pending.Behind, sig.Behind...)
	p.pending.All = p.pending.All || sig.All
	if len(p.pending.Mail)+len(p.pending.Ended)+len(p.pending.Responded) > maxPending {
		p.pending = store.Signal{All: true}
	}
	switch {
	case later == 0 || p.pending.All:
		p.wakeSender()
	case !p.gathering:
		p.gathering = true
		time.AfterFunc(later, p.wakeSender)
	}
}

// wakeSender makes send send everything.
func (p *peers) wakeSender() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// audience reports whether others may listen, and await what is ended or answered. A process that
// cannot listen, or has not for long, cannot know; those who await answer at once.
func (p *peers) audience() (listens, awaits bool) {
	if !p.listening || time.Since(p.since) < time.Second {
		return true, true
	}
	listens = time.Since(p.since) < 2*heartbeat
	for id, o := range p.seen {
		if o.gone() {
			delete(p.seen, id)
			continue
		}
		listens, awaits = true, awaits || o.awaits
	}
	return listens, awaits
}

// await counts who awaits what others end or answer. The others are told when it is the
// first.
func (p *peers) await(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaiting += n
	if p.awaiting == 0 {
		p.awaited = time.Now()
	} else if !p.awaits {
		p.awaits, p.unannounced = true, true
		p.wakeSender()
	}
}

// stopAwaiting tells the others when nobody here has awaited anything for a while.
func (p *peers) stopAwaiting() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awaits && p.awaiting == 0 && time.Since(p.awaited) > 2*time.Second {
		p.awaits, p.unannounced = false, true
		p.wakeSender()
	}
}

// send sends what is pending, all that has come together meanwhile at once. In the end
// it says the last: that others may go on with what this process has released.
func (p *peers) send(ctx context.Context) {
	for last := false; !last; {
		select {
		case <-p.wake:
		case <-ctx.Done():
			last = true
		}
		p.mu.Lock()
		notices, unannounced := p.notices(p.pending), p.unannounced
		if len(p.lateOnes) > 0 {
			notices = append(notices, notice{From: p.id, Late: p.lateOnes})
		}
		p.pending, p.gathering, p.unannounced, p.lateOnes = store.Signal{}, false, false, nil
		p.mu.Unlock()
		if unannounced {
			_ = p.announceSelf(context.WithoutCancel(ctx), "")
		}
		// Others look at the database now and then: a notification may get lost, but
		// not those that come after it.
		_ = p.notify(context.WithoutCancel(ctx), notices)
	}
}

// notices are the notifications for a signal.
func (p *peers) notices(sig store.Signal) []notice {
	if sig.All {
		return []notice{{From: p.id, All: true}}
	}
	results := make(map[string]*store.Ending, len(sig.Results))
	for i := range sig.Results {
		results[sig.Results[i].RunID] = &sig.Results[i]
	}
	var all []notice
	size := maxNotice
	// room returns the notice that takes so many bytes more.
	room := func(n int) *notice {
		if size += n; size > maxNotice {
			all, size = append(all, notice{From: p.id}), n
		}
		return &all[len(all)-1]
	}
	var rest []string
	for _, id := range sig.Mail {
		if !p.sending.again(id) {
			rest = append(rest, id)
			continue
		}
		n := room(len(id) + 3)
		n.Mail = append(n.Mail, id)
		n.Sticky++
	}
	for _, id := range rest {
		if p.sending.next(id) {
			size = maxNotice
		}
		n := room(len(id) + 3)
		if n.Turn = p.sending.turn; len(n.Mail) == n.Sticky {
			size += len(n.Turn) + 12
		}
		n.Mail = append(n.Mail, id)
	}
	for _, id := range sig.Ended {
		end := results[id]
		if end == nil {
			n := room(len(id) + 3)
			n.Ended = append(n.Ended, id)
			continue
		}
		n := room(len(id) + len(end.Workflow) + base64.StdEncoding.EncodedLen(len(end.Data)) + 60)
		n.Results = append(n.Results, result{id, end.Workflow, end.Status, end.Data})
	}
	for _, id := range sig.Responded {
		n := room(len(id) + 3)
		n.Responded = append(n.Responded, id)
	}
	for _, id := range sig.Untold {
		n := room(len(id) + 3)
		n.Untold = append(n.Untold, id)
	}
	for _, topic := range sig.Behind {
		n := room(len(topic) + 3)
		n.Behind = append(n.Behind, topic)
	}
	return all
}

// signal is what a notification says, but for mail.
func (n *notice) signal() store.Signal {
	sig := store.Signal{Ended: n.Ended, Responded: n.Responded, Untold: n.Untold, Behind: n.Behind, All: n.All}
	for _, r := range n.Results {
		sig.Ended = append(sig.Ended, r.Run)
		sig.Results = append(sig.Results, store.Ending{RunID: r.Run, Workflow: r.Workflow, Status: r.Status, Data: r.Data})
	}
	return sig
}

// notify sends notifications. They say what is durable already, so nobody waits until
// they are themselves.
func (p *peers) notify(ctx context.Context, notices []notice) error {
	if len(notices) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	var b pgx.Batch
	b.Queue("SELECT set_config('synchronous_commit', 'off', true)")
	for _, n := range notices {
		js, err := json.Marshal(n)
		if err != nil {
			return fmt.Errorf("encode a notification: %w", err)
		}
		if len(js) >= 8000 { // IDs are long here
			js, _ = json.Marshal(notice{From: p.id, All: true})
		}
		b.Queue("SELECT pg_notify($1, $2)", p.channel, string(js))
	}
	p.s.stats.notified.Add(int64(len(notices)))
	return p.s.pool.SendBatch(ctx, &b).Close()
}

// listen listens for notifications, and connects again when the connection is lost.
func (p *peers) listen(ctx context.Context) {
	failing, once := false, false
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := p.listenOnce(ctx, func() {
			if failing {
				p.s.opts.Logger.InfoContext(ctx, "notifications come again", "database", p.s.name)
			}
			failing, once, pause = false, true, 100*time.Millisecond
		})
		p.notListening()
		if ctx.Err() != nil {
			return
		}
		if !failing {
			failing = true
			p.s.opts.Logger.WarnContext(ctx, "notifications do not come; the database is looked at instead",
				"database", p.s.name, "every", p.s.opts.Poll, "error", err)
		}
		if errors.Is(err, errNoNotify) && !once {
			pause = noNotifyPause
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// errNoNotify is what a listener gets whose own notification does not come.
var errNoNotify = errors.New("a notification to itself did not come, as through a PgBouncer in transaction mode: set ListenURL to a direct connection")

// listenOnce listens until the connection is lost. It calls heard when the first
// notification has come: this process's own.
func (p *peers) listenOnce(ctx context.Context, heard func()) error {
	c, err := pgx.ConnectConfig(ctx, p.conf)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	if _, err := c.Exec(ctx, "LISTEN "+pgx.Identifier{p.channel}.Sanitize()); err != nil {
		return err
	}
	if err := p.announceSelf(ctx, ""); err != nil {
		return err
	}
	alive := false // it has heard something since the last timeout
	for {
		wait, cancel := context.WithTimeout(ctx, 2*heartbeat)
		n, err := c.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case !alive && errors.Is(err, context.DeadlineExceeded):
			return errNoNotify
		default:
			return err
		}
		if p.receive(ctx, n.Payload) && !alive {
			alive = true
			heard()
		}
	}
}

// receive takes in a notification. It reports whether it was this process's own.
func (p *peers) receive(ctx context.Context, payload string) bool {
	var n notice
	if err := json.Unmarshal([]byte(payload), &n); err != nil {
		n = notice{All: true} // of another version
	}
	if n.From == p.id {
		p.mu.Lock()
		first := !p.listening
		if first {
			p.listening, p.since = true, time.Now()
		}
		p.mu.Unlock()
		if first {
			p.s.watch.Tell(store.Signal{All: true}) // what it has missed
		}
		return true
	}
	if n.Here {
		p.mu.Lock()
		before, known := p.seen[n.From]
		known = known && !before.gone()
		p.seen[n.From] = peer{heard: time.Now(), awaits: n.Awaits, claims: n.Claims}
		p.mu.Unlock()
		if !known || n.Awaits && !before.awaits {
			_ = p.announceSelf(ctx, n.From)
		}
		n.All = n.All || !known || n.Knows == p.id
	}
	p.isLate(n.Late)
	if sig := n.signal(); sig.All || len(sig.Ended)+len(sig.Responded)+len(sig.Untold)+len(sig.Behind) > 0 {
		p.s.watch.Tell(sig)
	}
	for _, t := range p.turns(&n) {
		p.s.watch.Tell(store.Signal{Mail: t.mail, Yield: t.before, Mixed: t.mixed})
	}
	return false
}

// announceSelf tells the others, and itself, that this process listens, and one of them that it
// is known now.
func (p *peers) announceSelf(ctx context.Context, knows string) error {
	p.announcing.Lock()
	defer p.announcing.Unlock()
	p.mu.Lock()
	n := notice{From: p.id, Here: true, Awaits: p.awaits, Claims: p.claimsDigest(), Knows: knows}
	if p.late {
		n.Claims = ""
	}
	p.mu.Unlock()
	return p.notify(ctx, []notice{n})
}

// notListening notes that notifications do not come.
func (p *peers) notListening() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listening = false
}

// poll looks at the database from time to time, in case notifications got lost, and
// says that this process is still there.
func (p *peers) poll(ctx context.Context) {
	tick := time.NewTicker(p.s.opts.Poll)
	defer tick.Stop()
	beats := time.NewTicker(heartbeat)
	defer beats.Stop()
	for n := 1; ; {
		select {
		case <-tick.C:
			p.stopAwaiting()
			p.mu.Lock()
			due := !p.listening || n >= pollSlowdown
			p.mu.Unlock()
			if n++; due {
				n = 1
				p.s.watch.Tell(store.Signal{All: true})
			}
		case <-beats.C:
			p.mu.Lock()
			listening := p.listening
			p.mu.Unlock()
			if listening {
				_ = p.announceSelf(ctx, "") // a lost connection is noticed by those who need it
			}
		case <-ctx.Done():
			return
		}
	}
}
