/* Unit tests of server/sys/notify and clock: what a service manager receives. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/sys/clock.h"
#include "server/sys/notify.h"

/* An abstract socket of our own, named to libsystemd by NOTIFY_SOCKET. */
static int set_up(void **state)
{
    static int fd;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa_family_t);
    char name[sizeof(address.sun_path) + 1];

    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *state = &fd;
    /* No name given: the kernel chooses a free abstract one. */
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0)
        return -1;
    len = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return -1;
    size_t rest = len - offsetof(struct sockaddr_un, sun_path) - 1;
    snprintf(name, sizeof(name), "@%.*s", (int)rest, address.sun_path + 1);
    return setenv("NOTIFY_SOCKET", name, 1);
}

static int tear_down(void **state)
{
    close(*(int *)*state);
    return unsetenv("NOTIFY_SOCKET");
}

static const char *received(void **state)
{
    static char text[500];
    ssize_t n = recv(*(int *)*state, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void each_state_is_told(void **state)
{
    notify_ready("serving 2 of 3 tenants");
    assert_string_equal(received(state), "READY=1\nSTATUS=serving 2 of 3 tenants");
    notify_status("all is well");
    assert_string_equal(received(state), "STATUS=all is well");
    notify_stopping();
    assert_string_equal(received(state), "STOPPING=1");
}

static void reloading_carries_its_time(void **state)
{
    long long usec = 0;
    uint64_t before = clock_monotonic_ms();

    notify_reloading();
    const char *text = received(state);
    assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%lld", &usec), 1);
    assert_true((uint64_t)usec / 1000 >= before);
    assert_true((uint64_t)usec / 1000 <= clock_monotonic_ms());
}

static void without_a_manager_nothing_happens(void **state)
{
    unsetenv("NOTIFY_SOCKET");
    notify_ready("x");
    notify_reloading();
    notify_status("x");
    notify_stopping();
    assert_string_equal(received(state), "");
}

static void clocks_go(void **state)
{
    (void)state;
    time_t before = time(NULL), now = clock_wall();
    assert_true(now >= before && now <= time(NULL));
    uint64_t first = clock_monotonic_ms();
    assert_true(clock_monotonic_ms() >= first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_state_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reloading_carries_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_manager_nothing_happens, set_up, tear_down),
        cmocka_unit_test(clocks_go),
    };
    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
