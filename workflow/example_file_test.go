package workflow_test

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// Claim comes with a photo, if there is one: people choose it in a form.
type Claim struct {
	Amount int            `json:"amount" minimum:"1"`
	Photo  *workflow.File `json:"photo,omitempty" contentMediaType:"image/*"`
}

// Claims is shared by the workflow and the code that resumes it.
var Claims = workflow.DefineHook[Claim]("claim")

// A file comes with a payload.
func ExampleFile() {
	settle := workflow.Define("settle", func(ctx workflow.Context, customer string) (string, error) {
		hook, err := Claims.New(ctx, workflow.Token("claim:"+customer))
		if err != nil {
			return "", err
		}
		defer hook.Close()
		c, err := hook.Wait(ctx)
		if err != nil || c.Photo == nil {
			return "no photo", err
		}
		return fmt.Sprintf("%s: %d bytes", c.Photo.Name, len(c.Photo.Data)), nil
	})
	eng, stop := serve(settle)
	defer stop()

	ctx := context.Background()
	run := must(settle.Start(ctx, eng, "ada"))
	photo := &workflow.File{Name: "dent.png", ContentType: "image/png", Data: []byte("\x89PNG\r\n\x1a\n")}
	must(Claims.Resume(ctx, eng, "claim:ada", Claim{Amount: 300, Photo: photo}))
	fmt.Println(run.Result(ctx))
	_, err := Claims.Resume(ctx, eng, "claim:ada", Claim{Amount: 300, Photo: &workflow.File{Name: "empty.png"}})
	fmt.Println(err)
	// Output:
	// dent.png: 8 bytes <nil>
	// payload for token "claim:ada": photo.data: this is needed
}
