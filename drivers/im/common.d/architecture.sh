#!/bin/sh
echo "ARCH=$(uname -m)"
