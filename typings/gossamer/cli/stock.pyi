from node.cli.stock import *
