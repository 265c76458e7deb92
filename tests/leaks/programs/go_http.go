// A Go program that fetches a page by name. Built with cgo (libc resolves) and without (Go does, and makes its own
// system calls throughout).
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	response, err := http.Get("http://www.vrf.test/")
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		os.Exit(1)
	}
}
