package workflow_test

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// A hook with a generated token: who has the token can resume the run, nobody else.
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
	info := must(eng.Resume(ctx, <-links, "Ada")) // the payload is on disk when it returns
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
		must(eng.Resume(ctx, "chat:general", msg))
	}
	fmt.Println(run.Result(ctx))
	// Output:
	// heard hello
	// heard how are you?
	// 2 <nil>
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
		info := must(eng.Resume(ctx, "chat:general", msg, workflow.OrStart(bot, "general")))
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
