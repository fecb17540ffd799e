from node.cli.show import *
