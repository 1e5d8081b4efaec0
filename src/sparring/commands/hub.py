"""`sparring push` and `pull`."""

import argparse

from sparring.commands.arguments import Command
from sparring.screen import note, say

NAME = "name of the model on the hub, such as someone/digits"


def add(command: Command) -> None:
    push = command("push", run_push, "Upload a trained GAN and its model card to the Hugging Face hub.")
    push.add_argument("folder", metavar="RUN", help="a run's folder")
    push.add_argument("name", metavar="USER/NAME", help=NAME)
    push.add_argument("--private", action="store_true", help="visible only to you or your organisation")
    push.add_argument("--licence", metavar="ID", help="licence of the weights, in the hub's spelling: apache-2.0")
    push.add_argument("--data-licence", metavar="TEXT", help="licence or source of the data, a line for the card")

    pull = command("pull", run_pull, "Download a GAN from the Hugging Face hub, and check it.")
    pull.add_argument("name", metavar="USER/NAME", help=NAME)
    pull.add_argument("--out", metavar="FOLDER", help="the folder (default: runs/NAME)")


def run_push(arguments: argparse.Namespace) -> int:
    from sparring.publishing.push import push

    address = push(
        arguments.folder, arguments.name, private=arguments.private, licence=arguments.licence,
        data_licence=arguments.data_licence, log=note,
    )  # fmt: skip
    say(address)
    return 0


def run_pull(arguments: argparse.Namespace) -> int:
    from sparring.publishing.push import pull

    say(pull(arguments.name, arguments.out))
    return 0
