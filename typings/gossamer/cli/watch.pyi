from node.cli.watch import *
