// The stargz snapshotter as a program of its own: its library behind a socket.
//
// Debian packages the library and ctr-remote, and not the daemon. This does what the daemon's own
// main does with its defaults: the whole snapshotter is the library's.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/contrib/snapshotservice"
	"github.com/containerd/stargz-snapshotter/service"
	"github.com/pelletier/go-toml"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
)

func main() {
	address := flag.String("address", "/run/containerd-stargz-grpc/containerd-stargz-grpc.sock", "socket to listen on")
	root := flag.String("root", "/var/lib/containerd-stargz-grpc", "folder of the snapshots")
	file := flag.String("config", "", "configuration file")
	version := flag.Bool("version", false, "say what it is")
	flag.Parse()
	if *version {
		fmt.Println("containerd-stargz-grpc of the lab")
		return
	}
	if err := serve(*address, *root, *file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(address, root, file string) error {
	var config service.Config
	if file != "" {
		tree, err := toml.LoadFile(file)
		if err != nil {
			return err
		}
		if err := tree.Unmarshal(&config); err != nil {
			return err
		}
	}
	snapshotter, err := service.NewStargzSnapshotterService(context.Background(), root, &config)
	if err != nil {
		return err
	}
	defer snapshotter.Close()
	if err := os.Remove(address); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	snapshotsapi.RegisterSnapshotsServer(server, snapshotservice.FromSnapshotter(snapshotter))
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, unix.SIGTERM)
	go func() {
		<-ended
		server.Stop()
	}()
	return server.Serve(listener)
}
