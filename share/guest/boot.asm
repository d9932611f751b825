; Boot sector of the test guest: shows a line, then every key typed, on the
; screen (graphics mode, which has no blinking cursor) and on the serial port.
; nasm -f bin -o boot.img boot.asm
bits 16
org 0x7c00

start:
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7c00
    cld
    mov ax, 0x0012          ; 640x480, 16 colours
    int 0x10
    mov si, greeting
.next:
    lodsb
    test al, al
    jz keys
    call put
    jmp .next

keys:
    xor ax, ax              ; wait for a key
    int 0x16
    test al, al
    jz keys                 ; keys without a character
    call put
    cmp al, 13
    jne keys
    mov al, 10
    call put
    jmp keys

put:
    push ax
    mov ah, 0x0e
    mov bx, 0x000f
    int 0x10
    pop ax
    mov dx, 0x3f8
    out dx, al
    ret

greeting: db "Test guest ready", 13, 10, "> ", 0

times 510-($-$$) db 0
dw 0xaa55
