// A Go program without cgo: asks the world's web server for its greeting and prints it.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	connection, err := net.Dial("tcp", "192.0.2.80:7")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	connection.(*net.TCPConn).CloseWrite()
	if _, err := io.Copy(os.Stdout, connection); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
