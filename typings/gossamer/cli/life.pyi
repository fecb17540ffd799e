from node.cli.life import *
