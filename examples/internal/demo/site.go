package demo

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/tenter-dev/tenter/engine"
)

// Site is Main for programs that others call: play has a web server around it, on
// loopback, whose URL is opts.PublicURL. Routes says what is served.
func Site(opts engine.Options, routes func(*http.ServeMux, *engine.Engine), play func(context.Context, *engine.Engine, string) error) {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on; a free port if it is taken")
	untilCtrlC(func(ctx context.Context, db string) error {
		listener, err := listen(*addr)
		if err != nil {
			return err
		}
		opts.PublicURL = "http://" + listener.Addr().String()
		return run(ctx, db, opts, func(ctx context.Context, eng *engine.Engine) error {
			mux := http.NewServeMux()
			routes(mux, eng)
			server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
			go server.Serve(listener)
			defer shutdown(server)
			return play(ctx, eng, opts.PublicURL)
		})
	})
}

func listen(addr string) (net.Listener, error) {
	listener, taken := net.Listen("tcp", addr)
	if taken == nil {
		return listener, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		fmt.Printf("%v, so this is %s.\n\n", taken, listener.Addr())
	}
	return listener, err
}
