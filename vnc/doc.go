// Package vnc carries the consoles of virtual machines to browsers: it accepts
// websocket connections, finds the VNC server a connection asks for (by the
// token files Sunstone writes, or one fixed target) and copies bytes both ways.
//
// It stands in the place of websockify and answers as the copy shipped with
// OpenNebula 4.6 did, except that a refused connection is told why in a close
// frame. It knows nothing of the RFB protocol: passwords and keyboard maps are
// between the browser and the VNC server. Which virtual machines may show a
// console is the business of the package vnc/console.
package vnc
