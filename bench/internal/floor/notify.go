package floor

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// peer stands for a process: it commits rows, notifies another one, and listens.
type peer struct {
	write, listen *pgx.Conn
	channel       string // that it listens on
}

// Notifications has two peers take turns, n times. The first commits a row and notifies the second,
// which does the same in return. It returns how long it took each time until the second had
// received its notification (there), and until the first had (back).
func Notifications(ctx context.Context, url string, n int) (there, back []time.Duration, err error) {
	var peers [2]*peer
	for i, channel := range []string{"floor_first", "floor_second"} {
		p, err := newPeer(ctx, url, channel)
		if err != nil {
			return nil, nil, err
		}
		defer func() { _ = errors.Join(p.write.Close(ctx), p.listen.Close(ctx)) }() // they have done what they were for
		peers[i] = p
	}
	if _, err := peers[0].write.Exec(ctx, `CREATE TABLE IF NOT EXISTS floor_turns (n bigserial PRIMARY KEY, data text)`); err != nil {
		return nil, nil, err
	}
	for range n {
		began := time.Now()
		if err := peers[0].pass(ctx, peers[1]); err != nil {
			return nil, nil, err
		}
		there = append(there, time.Since(began))
		if err := peers[1].pass(ctx, peers[0]); err != nil {
			return nil, nil, err
		}
		back = append(back, time.Since(began))
	}
	return there, back, nil
}

func newPeer(ctx context.Context, url, channel string) (*peer, error) {
	write, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	listen, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, errors.Join(err, write.Close(ctx))
	}
	if _, err := listen.Exec(ctx, "LISTEN "+channel); err != nil {
		return nil, errors.Join(err, write.Close(ctx), listen.Close(ctx))
	}
	return &peer{write, listen, channel}, nil
}

// pass commits a row, then notifies the next peer, and returns when it has received that.
func (p *peer) pass(ctx context.Context, next *peer) error {
	if _, err := p.write.Exec(ctx, `INSERT INTO floor_turns (data) VALUES ('some 50 bytes of data, as much as a small event has')`); err != nil {
		return err
	}
	var b pgx.Batch // one round trip; nobody waits until the notification itself is on disk
	b.Queue(`SELECT set_config('synchronous_commit', 'off', true)`)
	b.Queue(`SELECT pg_notify($1, '')`, next.channel)
	if err := p.write.SendBatch(ctx, &b).Close(); err != nil {
		return err
	}
	_, err := next.listen.WaitForNotification(ctx)
	return err
}
