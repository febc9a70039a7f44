package workflow_test

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// A hook with a generated token: only holders of the token can resume the run.
func ExampleNewHook() {
	links := make(chan string, 1)
	signUp := workflow.Define("sign-up", func(ctx workflow.Context, mail string) (string, error) {
		confirmed, err := workflow.NewHook[string](ctx)
		if err != nil {
			return "", err
		}
		defer confirmed.Close()
		err = workflow.Do(ctx, "mail the link", func(context.Context) error {
			links <- confirmed.Token()
			return nil
		})
		if err != nil {
			return "", err
		}
		name, err := confirmed.Wait(ctx)
		return mail + " is " + name, err
	})
	eng, stop := serve(signUp)
	defer stop()

	ctx := context.Background()
	run := must(signUp.Start(ctx, eng, "ada@example.com"))
	info := must(workflow.Resume(ctx, eng, <-links, "Ada")) // the payload is on disk when it returns
	fmt.Println(info.RunID == run.ID())
	fmt.Println(run.Result(ctx))
	// Output:
	// true
	// ada@example.com is Ada <nil>
}

// A run that handles all payloads of its hook, in the order in which they came.
func ExampleHook_All() {
	bot := workflow.Define("bot", func(ctx workflow.Context, channel string) (int, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token("chat:"+channel))
		if err != nil {
			return 0, err
		}
		n := 0
		for msg, err := range hook.All(ctx) {
			if err != nil {
				return n, err
			}
			if msg == "/stop" {
				hook.Close() // no more is accepted; what was is still delivered
				continue
			}
			err := workflow.Do(ctx, "hear", func(context.Context) error {
				fmt.Println("heard", msg)
				return nil
			})
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	})
	eng, stop := serve(bot)
	defer stop()

	ctx := context.Background()
	run := must(bot.Start(ctx, eng, "general"))
	for _, msg := range []string{"hello", "how are you?", "/stop"} {
		must(workflow.Resume(ctx, eng, "chat:general", msg))
	}
	fmt.Println(run.Result(ctx))
	// Output:
	// heard hello
	// heard how are you?
	// 2 <nil>
}

// A run that closes its hook and opens another one with the same token: what came before
// Close is still the first hook's, so it takes that first.
func ExampleHook_Close() {
	open, van := make(chan bool), make(chan bool)
	depot := workflow.Define("depot", func(ctx workflow.Context, name string) ([][]string, error) {
		var batches [][]string
		for range 2 {
			parcels, err := workflow.NewHook[string](ctx, workflow.Token("depot:"+name))
			if err != nil {
				return nil, err
			}
			err = workflow.Do(ctx, "wait for the van", func(context.Context) error {
				open <- true
				<-van
				return nil
			})
			if err != nil {
				return nil, err
			}
			parcels.Close() // no more is accepted
			var batch []string
			for parcel, err := range parcels.All(ctx) { // what was accepted
				if err != nil {
					return nil, err
				}
				batch = append(batch, parcel)
			}
			batches = append(batches, batch)
		}
		return batches, nil
	})
	eng, stop := serve(depot)
	defer stop()

	ctx := context.Background()
	run := must(depot.Start(ctx, eng, "north"))
	for _, batch := range [][]string{{"books", "shoes"}, {"lamp"}} {
		<-open
		for _, parcel := range batch {
			must(workflow.Resume(ctx, eng, "depot:north", parcel))
		}
		van <- true
	}
	fmt.Println(run.Result(ctx))
	// Output:
	// [[books shoes] [lamp]] <nil>
}

// The first message starts the bot, whoever sends it, and however many at once.
func ExampleOrStart() {
	bot := workflow.Define("bot", func(ctx workflow.Context, channel string) (string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token("chat:"+channel))
		if err != nil {
			return "", err
		}
		defer hook.Close()
		all := ""
		for msg, err := range hook.All(ctx) {
			if err != nil || msg == "/stop" {
				return all, err
			}
			all += msg
		}
		return all, nil
	})
	eng, stop := serve(bot)
	defer stop()

	ctx := context.Background()
	var runID string
	for _, msg := range []string{"a", "b", "c", "/stop"} {
		info := must(workflow.Resume(ctx, eng, "chat:general", msg, workflow.OrStart(bot, "general")))
		fmt.Println(msg, info.Started)
		runID = info.RunID
	}
	fmt.Println(bot.Get(eng, runID).Result(ctx))
	// Output:
	// a true
	// b false
	// c false
	// /stop false
	// abc <nil>
}
