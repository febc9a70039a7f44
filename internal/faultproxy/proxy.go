package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what can be chosen about a proxy. The zero value works.
type Options struct {
	// Seed decides what faults are like: where messages are cut, how long delays last,
	// and which kinds Torment picks.
	Seed uint64

	// Moment bounds delays. Default: 100 ms.
	Moment time.Duration

	// While bounds how long connections are frozen or refused, and how late requests
	// come. Default: 1 s.
	While time.Duration
}

// Proxy passes connections on to a server. It is safe for concurrent use.
type Proxy struct {
	network, server string
	opts            Options
	listener        net.Listener
	closed          chan struct{}
	tasks           sync.WaitGroup

	mu      sync.Mutex
	rand    *rand.Rand
	links   map[*link]bool
	pending []Kind // faults that wait for an occasion
	faults  []Fault
	refuse  time.Time // until when

	swallows atomic.Bool // nothing is passed on any more
}

// Listen starts a proxy for a server that listens at an address, on a port of the
// loopback interface of its own.
func Listen(network, server string, o Options) (*Proxy, error) {
	if o.Moment <= 0 {
		o.Moment = 100 * time.Millisecond
	}
	if o.While <= 0 {
		o.While = time.Second
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0") //nolint:forbidigo // it listens until Close
	if err != nil {
		return nil, fmt.Errorf("fault proxy: %w", err)
	}
	p := &Proxy{
		network: network, server: server, opts: o, listener: l,
		closed: make(chan struct{}),
		rand:   rand.New(rand.NewPCG(o.Seed, 0)),
		links:  map[*link]bool{},
	}
	p.tasks.Go(p.accept)
	return p, nil
}

// Addr is where clients find the proxy.
func (p *Proxy) Addr() *net.TCPAddr { return p.listener.Addr().(*net.TCPAddr) }

// Close cuts all connections and ends the proxy.
func (p *Proxy) Close() error {
	p.mu.Lock()
	select {
	case <-p.closed:
		p.mu.Unlock()
		return nil
	default:
	}
	close(p.closed)
	p.mu.Unlock()
	err := p.listener.Close()
	p.cutAll()
	p.tasks.Wait()
	return err
}

// Inject injects a fault: at once if it needs no occasion, else to the first connection that gives
// one.
func (p *Proxy) Inject(k Kind) {
	switch k {
	case Refuse:
		p.mu.Lock()
		p.refuse = p.note(k, p.opts.While)
		p.mu.Unlock()
	case CutAll:
		p.mu.Lock()
		p.note(k, 0)
		p.mu.Unlock()
		p.cutAll()
	default:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.pending = append(p.pending, k)
	}
}

// Swallow passes nothing on any more, on no connection, new ones included: a network
// that drops all packets.
func (p *Proxy) Swallow() {
	p.swallows.Store(true)
}

// Torment injects faults of random kinds, one every so often, until ctx ends. It does
// not pile up faults that nobody gives occasion to.
func (p *Proxy) Torment(ctx context.Context, every time.Duration, kinds ...Kind) {
	const most = 3
	if len(kinds) == 0 {
		kinds = Kinds
	}
	for {
		p.mu.Lock()
		k := kinds[p.rand.IntN(len(kinds))]
		pause := time.Duration((0.5 + p.rand.Float64()) * float64(every))
		full := len(p.pending) >= most
		p.mu.Unlock()
		if !full {
			p.Inject(k)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			p.mu.Lock()
			p.pending, p.refuse = nil, time.Time{}
			p.mu.Unlock()
			return
		}
	}
}

// Faults returns the faults that have been done, in the order in which they began.
func (p *Proxy) Faults() []Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.faults)
}

// note records a fault that lasts up to a while and returns when it ends. p is locked.
func (p *Proxy) note(k Kind, atMost time.Duration) (end time.Time) {
	now := time.Now()
	end = now
	if atMost > 0 {
		end = now.Add(time.Duration(p.rand.Int64N(int64(atMost))) + 1)
	}
	p.faults = append(p.faults, Fault{Kind: k, Began: now, Ended: end})
	return end
}

// occasion returns the fault that a chunk has to suffer, if any, how much of it is
// passed on first, and when the fault is over.
func (p *Proxy) occasion(d direction, n int, complete bool) (k Kind, first int, end time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.pending, func(k Kind) bool { return k.fits(d, n, complete) })
	if i < 0 {
		return "", n, time.Time{}
	}
	k = p.pending[i]
	p.pending = slices.Delete(p.pending, i, i+1)
	switch k {
	case HalfRequest, HalfAnswer:
		first = 1 + p.rand.IntN(n-1)
		end = p.note(k, 0)
	case Delay:
		first = 1 + p.rand.IntN(n-1)
		end = p.note(k, p.opts.Moment)
	case LateRequest, Freeze:
		end = p.note(k, p.opts.While)
	case CutRequest, LostAnswer, Refuse, CutAll:
		end = p.note(k, 0)
	}
	return k, first, end
}

// accept passes connections on until the proxy is closed.
func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // this connection was given up before it was taken
		}
		p.tasks.Go(func() { p.pass(c.(*net.TCPConn)) })
	}
}

// pass passes a connection on.
func (p *Proxy) pass(client *net.TCPConn) {
	p.mu.Lock()
	refused := time.Now().Before(p.refuse)
	p.mu.Unlock()
	if refused {
		reset(client)
		return
	}
	server, err := new(net.Dialer).DialContext(context.Background(), p.network, p.server) //nolint:forbidigo // the address is local
	if err != nil {
		reset(client)
		return
	}
	l := &link{p: p, client: client, server: server, gone: make(chan struct{}), talk: newConversation()}
	p.mu.Lock()
	p.links[l] = true
	select {
	case <-p.closed:
		l.cut()
	default:
	}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(l.up)
	both.Go(l.down)
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

func (p *Proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cut()
	}
}

// reset closes a connection so that the other side gets an error.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it is closed either way
	}
	_ = c.Close()
}
