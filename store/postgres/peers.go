package postgres

import (
	"context"
	"crypto/rand"
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

	// maxIDs fit into one notification, which has less than 8,000 bytes.
	maxIDs = 100

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
	Ended     []string `json:"ended,omitempty"`
	Responded []string `json:"responded,omitempty"`
	All       bool     `json:"all,omitempty"`
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
	seen        map[string]peer
	listening   bool      // notifications come
	since       time.Time // that is so
	awaiting    int       // how many here await what others end or answer
	awaited     time.Time // when that became none
	awaits      bool      // the others are told, or to be told, that somebody does
	unannounced bool      // they are to be told
	claims      map[string]claims

	announcing sync.Mutex // held while announceSelf says what is so
}

// peer is another process.
type peer struct {
	heard  time.Time // when it last said that it listens
	awaits bool
	claims string // a digest of what it claims; empty: nothing
}

// gone reports whether it was not heard for too long.
func (p peer) gone() bool { return time.Since(p.heard) >= 3*heartbeat }

func newPeers(s *Store, conf *pgx.ConnConfig) *peers {
	return &peers{
		s: s, conf: conf, channel: s.opts.Schema, id: rand.Text()[:10],
		wake: make(chan struct{}, 1), seen: make(map[string]peer), claims: make(map[string]claims),
	}
}

func (p *peers) start(ctx context.Context, tasks *sync.WaitGroup) {
	tasks.Go(func() { p.listen(ctx) })
	tasks.Go(func() { p.send(ctx) })
	tasks.Go(func() { p.poll(ctx) })
}

// announce has the other processes told, what was ended or answered only if it is for
// everybody or awaited. It does not wait.
func (p *peers) announce(sig store.Signal, everybody bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	listens, awaits := p.audience()
	if !awaits && !everybody {
		sig.Ended, sig.Responded = nil, nil
	}
	if !listens || !sig.All && len(sig.Mail)+len(sig.Ended)+len(sig.Responded) == 0 {
		return
	}
	p.pending.Mail = append(p.pending.Mail, sig.Mail...)
	p.pending.Ended = append(p.pending.Ended, sig.Ended...)
	p.pending.Responded = append(p.pending.Responded, sig.Responded...)
	p.pending.All = p.pending.All || sig.All
	if len(p.pending.Mail)+len(p.pending.Ended)+len(p.pending.Responded) > maxPending {
		p.pending = store.Signal{All: true}
	}
	p.wakeSender()
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
		p.pending, p.unannounced = store.Signal{}, false
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
	var all []notice
	cut := func(ids *[]string) []string {
		part := (*ids)[:min(len(*ids), maxIDs/3)]
		*ids = (*ids)[len(part):]
		return part
	}
	for len(sig.Mail)+len(sig.Ended)+len(sig.Responded) > 0 {
		all = append(all, notice{From: p.id, Mail: cut(&sig.Mail), Ended: cut(&sig.Ended), Responded: cut(&sig.Responded)})
	}
	return all
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
		p.seen[n.From] = peer{time.Now(), n.Awaits, n.Claims}
		p.mu.Unlock()
		if !known || n.Awaits && !before.awaits {
			_ = p.announceSelf(ctx, n.From)
		}
		n.All = n.All || !known || n.Knows == p.id
	}
	if sig := (store.Signal{Mail: n.Mail, Ended: n.Ended, Responded: n.Responded, All: n.All, Yield: !p.elected(&n)}); n.All || len(n.Mail)+len(n.Ended)+len(n.Responded) > 0 {
		p.s.watch.Tell(sig)
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
