from node.cli.seen import *
