"""Commands about who may use the operator's window: users list, add, remove, token."""

from typing import Annotated

import typer

from node.cli import here
from node.core.role import Role

users = typer.Typer(help="Users of the operator's window.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The name to sign in with.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(users, name="users")


@users.command("list")
def list_users(as_json: AsJson = False) -> None:
    """Who may sign in, and as what.

    Example: isocenter users list
    """
    from node.state import accounts

    with here.ledger() as ledger, ledger.read() as connection:
        rows = [
            {
                "name": one.name,
                "role": one.role.value,
                "sees_names": one.sees_names or one.role is not Role.VIEWER,
                "created_at": one.created_at,
            }
            for one in accounts.users(connection)
        ]
    here.show(rows, as_json=as_json, empty="nobody can sign in yet; `isocenter users add NAME --role admin`")


@users.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.VIEWER,
    names: Annotated[bool, typer.Option("--names", help="A viewer who sees patients' names and numbers.")] = False,
) -> None:
    """Add a user, or give one a new password and role; the password is asked for.

    Example: isocenter users add ada --role admin
    """
    from node.admin.accounts import add_user

    password = typer.prompt("Password (12 characters or more)", hide_input=True, confirmation_prompt=True)
    with here.ledger() as ledger:
        add_user(ledger, name, password, role, here.now(), sees_names=names)
    print(f"{name} can sign in as {role.value}")


@users.command()
def remove(name: Name) -> None:
    """Remove a user, who is signed out at once.

    Example: isocenter users remove ada
    """
    from node.admin.accounts import remove_user

    with here.ledger() as ledger:
        remove_user(ledger, name)
    print(f"{name} is removed")


@users.command()
def token(
    name: Annotated[str, typer.Argument(help="What the program is called.")],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.VIEWER,
    remove: Annotated[bool, typer.Option("--remove", help="Let that program in no more.")] = False,
) -> None:
    """Let a program use the API: prints a token, this once.

    Example: isocenter users token dashboard --role viewer
    """
    from node.admin.accounts import new_token
    from node.state import accounts

    with here.ledger() as ledger:
        if remove:
            with ledger.write() as connection:
                accounts.remove_token(connection, name)
            print(f"{name} is let in no more")
            return
        print(new_token(ledger, name, role, "command line", here.now()))
