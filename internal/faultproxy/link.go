package faultproxy

import (
	"net"
	"sync"
	"time"
)

// link is a connection that is passed on.
type link struct {
	p              *Proxy
	client, server net.Conn
	once           sync.Once
	gone           chan struct{} // closed when it is cut

	mu     sync.Mutex
	talk   conversation
	lost   bool      // answers are passed on no more; when none is owed, it is cut
	frozen time.Time // until when nothing is passed on
}

// cut cuts both ends.
func (l *link) cut() {
	l.once.Do(func() {
		close(l.gone)
		reset(l.client)
		reset(l.server)
	})
}

// wait waits until a time. It returns false if the link was cut.
func (l *link) wait(until time.Time) bool {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.gone:
		return false
	}
}

// thaw waits while the link is frozen.
func (l *link) thaw() bool {
	for {
		if l.p.swallows.Load() {
			<-l.gone
			return false
		}
		l.mu.Lock()
		frozen := l.frozen
		l.mu.Unlock()
		if !time.Now().Before(frozen) {
			return true
		}
		if !l.wait(frozen) {
			return false
		}
	}
}

// up passes on what the client sends.
func (l *link) up() {
	defer l.cut()
	buf := make([]byte, 16<<10)
	for {
		n, err := l.client.Read(buf)
		if n > 0 && (!l.thaw() || !l.sendUp(buf[:n])) {
			return
		}
		if err != nil {
			return
		}
	}
}

// sendUp passes a chunk on to the server, with a fault if it is the turn of one. It
// returns false if there is nothing to pass on any more.
func (l *link) sendUp(chunk []byte) bool {
	l.mu.Lock()
	complete := l.talk.request(chunk)
	k, first, end := l.p.occasion(up, len(chunk), complete)
	l.lost = k == LostAnswer || k == LateRequest
	if k == Freeze {
		l.frozen = end
	}
	l.mu.Unlock()
	switch k {
	case CutRequest:
		return false
	case HalfRequest:
		_, _ = l.server.Write(chunk[:first]) // it is cut either way
		return false
	case LateRequest:
		reset(l.client)
		if !l.wait(end) {
			return false
		}
	case Delay:
		if _, err := l.server.Write(chunk[:first]); err != nil || !l.wait(end) {
			return false
		}
		chunk = chunk[first:]
	case Freeze:
		if !l.thaw() {
			return false
		}
	case LostAnswer, HalfAnswer, Refuse, CutAll:
	}
	if _, err := l.server.Write(chunk); err != nil {
		return false
	}
	if k == LostAnswer || k == LateRequest {
		<-l.gone // down cuts it when the answer has come
	}
	return true
}

// down passes on what the server sends.
func (l *link) down() {
	defer l.cut()
	buf := make([]byte, 16<<10)
	for {
		n, err := l.server.Read(buf)
		if n > 0 && !l.sendDown(buf[:n]) {
			return
		}
		if err != nil {
			return
		}
	}
}

// sendDown passes a chunk on to the client, with a fault if it is the turn of one. It
// returns false if there is nothing to pass on any more.
func (l *link) sendDown(chunk []byte) bool {
	l.mu.Lock()
	l.talk.answer(chunk)
	lost, owed := l.lost, l.talk.owed
	var k Kind
	var first int
	var end time.Time
	if !lost {
		k, first, end = l.p.occasion(down, len(chunk), false)
	}
	if k == Freeze {
		l.frozen = end
	}
	l.mu.Unlock()
	if lost {
		return owed > 0
	}
	if !l.thaw() {
		return false
	}
	switch k {
	case HalfAnswer:
		_, _ = l.client.Write(chunk[:first]) // it is cut either way
		return false
	case Delay:
		if _, err := l.client.Write(chunk[:first]); err != nil || !l.wait(end) {
			return false
		}
		chunk = chunk[first:]
	case CutRequest, HalfRequest, LostAnswer, LateRequest, Freeze, Refuse, CutAll:
	}
	_, err := l.client.Write(chunk)
	return err == nil
}
