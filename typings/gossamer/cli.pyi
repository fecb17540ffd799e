from node.cli import *
