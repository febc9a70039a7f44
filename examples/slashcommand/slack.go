package main

import (
	"context"
	"fmt"
)

// slack stands for the client of a chat service.
type slack struct{}

func (*slack) post(_ context.Context, channel, text string) error {
	_, err := fmt.Printf("#%s %s\n", channel, text)
	return err
}
