// A Go program that puts its sockets into VRFs through the C library: its own runtime makes system calls itself, so it
// asks for each socket by vrf_socket(). Prints the greeting of each VRF's echo service.
package main

// #include <stdlib.h>
// #include <sys/socket.h>
// #include <vrfshim.h>
import "C"

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"
)

func greeting(vrf string) (string, error) {
	name := C.CString(vrf)
	defer C.free(unsafe.Pointer(name))
	fd, err := C.vrf_socket(name, C.AF_INET, C.SOCK_STREAM, 0)
	if fd < 0 {
		return "", err
	}
	defer syscall.Close(int(fd))
	if err := syscall.Connect(int(fd), &syscall.SockaddrInet4{Port: 7, Addr: [4]byte{192, 0, 2, 80}}); err != nil {
		return "", err
	}
	line := make([]byte, 64)
	length, err := syscall.Read(int(fd), line)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(line[:length])), nil
}

func main() {
	for _, vrf := range os.Args[1:] {
		answer, err := greeting(vrf)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", vrf, err)
			os.Exit(1)
		}
		fmt.Printf("%s: %s\n", vrf, answer)
	}
}
