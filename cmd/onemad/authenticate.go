package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"goned/drivers/agent"
	"goned/drivers/agent/credential"
)

// runAuthenticate is `onemad authenticate DRIVER USER PASSWORD SECRET`, what
// the scripts of remotes/auth call. Its output and status are theirs.
func runAuthenticate(args []string) (status int) {
	const refused = 255
	check, known := credential.Checks()[firstWord(args)]
	if len(args) != 4 || !known {
		fmt.Fprintln(os.Stderr, "usage: onemad authenticate ssh|x509|ldap|server_cipher|server_x509 USER PASSWORD SECRET")
		return refused
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	site := credential.Site{
		Auth: filepath.Join(agent.LayoutOf(os.Getenv("ONE_LOCATION")).Etc, "auth"),
		Now:  time.Now,
		Log:  func(format string, values ...any) { fmt.Fprintf(os.Stderr, format+"\n", values...) },
	}
	answer, err := check(ctx, site, credential.Claim{User: args[1], Password: args[2], Secret: args[3]})
	switch {
	case err == nil && answer != "":
		fmt.Println(answer)
	case errors.Is(err, credential.ErrLogged):
		return refused
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s\n%v\n%s\n", agent.ErrorBegin, err, agent.ErrorEnd)
		return refused
	}
	return 0
}

func firstWord(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}
