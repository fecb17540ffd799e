from node.demo.view import *
