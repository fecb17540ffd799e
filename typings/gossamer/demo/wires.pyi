from node.demo.wires import *
