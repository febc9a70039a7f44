package workflow_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// A run with a URL. Whoever calls it gets 202 Accepted.
func ExampleNewWebhook() {
	urls := make(chan string, 1)
	parcel := workflow.Define("parcel", func(ctx workflow.Context, number int) (string, error) {
		hook, err := workflow.NewWebhook(ctx)
		if err != nil {
			return "", err
		}
		defer hook.Close()

		err = workflow.Do(ctx, "order", func(context.Context) error {
			urls <- hook.URL() // give it to the carrier
			return nil
		})
		if err != nil {
			return "", err
		}

		req, err := hook.Wait(ctx) // a second or a year
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("parcel %d: %s %s %q", number, req.Method, req.URL.Query().Get("from"), req.Body), nil
	})

	ctx := context.Background()
	eng, stop := serveWeb(parcel)
	defer stop()
	run, err := parcel.Start(ctx, eng, 7)
	if err != nil {
		panic(err)
	}
	fmt.Println(call(<-urls+"?from=carrier", "text/plain", "delivered"))
	fmt.Println(run.Result(ctx))
	// Output:
	// 202
	// parcel 7: POST carrier "delivered" <nil>
}

// Every caller gets the same answer, as soon as its request is durable.
func ExampleRespondWith() {
	urls := make(chan string, 1)
	survey := workflow.Define("survey", func(ctx workflow.Context, _ struct{}) (int, error) {
		thanks := workflow.JSON(http.StatusOK, map[string]string{"message": "thank you"})
		hook, err := workflow.NewWebhook(ctx, workflow.RespondWith(thanks))
		if err != nil {
			return 0, err
		}
		defer hook.Close()

		if err := workflow.Do(ctx, "publish", func(context.Context) error { urls <- hook.URL(); return nil }); err != nil {
			return 0, err
		}
		sum := 0
		for range 2 {
			req, err := hook.Wait(ctx)
			if err != nil {
				return 0, err
			}
			var vote struct{ Stars int }
			if err := req.JSON(&vote); err != nil {
				return 0, err
			}
			sum += vote.Stars
		}
		return sum, nil
	})

	ctx := context.Background()
	eng, stop := serveWeb(survey)
	defer stop()
	run, err := survey.Start(ctx, eng, struct{}{})
	if err != nil {
		panic(err)
	}
	url := <-urls
	fmt.Println(call(url, "application/json", `{"stars":5}`))
	fmt.Println(call(url, "application/json", `{"stars":4}`))
	fmt.Println(run.Result(ctx))
	// Output:
	// 200 {"message":"thank you"}
	// 200 {"message":"thank you"}
	// 9 <nil>
}

// The run decides what each caller is answered, on the connection that is still open.
// A step could call Respond too, for answers that take I/O to find.
func ExampleRespondManually() {
	urls := make(chan string, 1)
	auction := workflow.Define("auction", func(ctx workflow.Context, limit int) (int, error) {
		hook, err := workflow.NewWebhook(ctx, workflow.RespondManually())
		if err != nil {
			return 0, err
		}
		defer hook.Close()

		if err := workflow.Do(ctx, "open", func(context.Context) error { urls <- hook.URL(); return nil }); err != nil {
			return 0, err
		}
		highest := 0
		for req, err := range hook.All(ctx) {
			if err != nil {
				return 0, err
			}
			var bid int
			answer := workflow.Text(http.StatusOK, "you lead")
			if err := req.JSON(&bid); err != nil || bid <= highest {
				answer = workflow.Text(http.StatusConflict, fmt.Sprint("bid more than ", highest))
			}
			if err := req.Respond(ctx, answer); err != nil {
				return 0, err
			}
			if highest = max(highest, bid); highest >= limit {
				break
			}
		}
		return highest, nil
	})

	ctx := context.Background()
	eng, stop := serveWeb(auction)
	defer stop()
	run, err := auction.Start(ctx, eng, 100)
	if err != nil {
		panic(err)
	}
	url := <-urls
	fmt.Println(call(url, "application/json", "60"))
	fmt.Println(call(url, "application/json", "50"))
	fmt.Println(call(url, "application/json", "120"))
	fmt.Println(run.Result(ctx))
	// Output:
	// 200 you lead
	// 409 bid more than 60
	// 200 you lead
	// 120 <nil>
}

// Slack and many others send forms.
func ExampleRequest_Form() {
	urls := make(chan string, 1)
	command := workflow.Define("command", func(ctx workflow.Context, channel string) (string, error) {
		hook, err := workflow.NewWebhook(ctx, workflow.Token("slack_command:"+channel))
		if err != nil {
			return "", err
		}
		defer hook.Close()

		if err := workflow.Do(ctx, "tell", func(context.Context) error { urls <- hook.URL(); return nil }); err != nil {
			return "", err
		}
		req, err := hook.Wait(ctx)
		if err != nil {
			return "", err
		}
		form, err := req.Form()
		if err != nil {
			return "", err
		}
		return form.Get("user_name") + " says " + form.Get("command") + " " + form.Get("text"), nil
	})

	ctx := context.Background()
	eng, stop := serveWeb(command)
	defer stop()
	run, err := command.Start(ctx, eng, "general")
	if err != nil {
		panic(err)
	}
	fmt.Println(call(<-urls, "application/x-www-form-urlencoded", "user_name=ada&command=%2Fweather&text=Paris"))
	fmt.Println(run.Result(ctx))
	// Output:
	// 202
	// ada says /weather Paris <nil>
}

// A request, or an hour without one.
func ExampleOnRequest() {
	urls := make(chan string, 1)
	payment := workflow.Define("payment", func(ctx workflow.Context, order int) (string, error) {
		hook, err := workflow.NewWebhook(ctx)
		if err != nil {
			return "", err
		}
		defer hook.Close()

		if err := workflow.Do(ctx, "ask", func(context.Context) error { urls <- hook.URL(); return nil }); err != nil {
			return "", err
		}
		var result string
		err = workflow.Select(ctx,
			workflow.OnRequest(hook, func(req *workflow.Request) error {
				result = fmt.Sprintf("order %d is %s", order, req.Body)
				return nil
			}),
			workflow.OnTimer(time.Hour, func() error {
				result = fmt.Sprintf("order %d is canceled", order)
				return nil
			}),
		)
		return result, err
	})

	ctx := context.Background()
	eng, stop := serveWeb(payment)
	defer stop()
	run, err := payment.Start(ctx, eng, 42)
	if err != nil {
		panic(err)
	}
	fmt.Println(call(<-urls, "text/plain", "paid"))
	fmt.Println(run.Result(ctx))
	// Output:
	// 202
	// order 42 is paid <nil>
}

// serveWeb is what a program with webhooks has in its main function.
func serveWeb(workflows ...workflow.Definition) (eng *engine.Engine, stop func()) {
	dir, err := os.MkdirTemp("", "tenter-example-")
	if err != nil {
		panic(err)
	}
	st, err := sqlite.Open(filepath.Join(dir, "app.db"))
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	site := httptest.NewServer(mux)
	eng, err = engine.New(st, engine.Options{Workflows: workflows, PublicURL: site.URL})
	if err != nil {
		panic(err)
	}
	mux.Handle(server.WebhookPath, server.Webhooks(eng, server.Options{}))

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = eng.Run(ctx) })
	return eng, func() {
		cancel()
		running.Wait()
		site.Close()
		_ = eng.Close()
		_ = st.Close()
		_ = os.RemoveAll(dir)
	}
}

// call is the outside world: it posts a body. It returns the status and the body that it got.
func call(url, contentType, body string) string {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, data))
}
