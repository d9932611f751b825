#!/bin/sh
# The model of the first processor.
sed -n 's/^model name[[:space:]]*: */MODELNAME="/p' /proc/cpuinfo | sed -e 's/$/"/' -e q
