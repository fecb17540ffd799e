from node.cli.target import *
